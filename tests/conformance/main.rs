//! The vectors under tests/vectors, fed whole, byte by byte and at every split.
