//! The crate from outside: byte vectors, properties, and both sessions against plain models.

mod child;
mod child_model;
mod control;
mod frames;
mod gate;
mod msgpack;
mod parent;
mod parent_model;
mod vectors;
