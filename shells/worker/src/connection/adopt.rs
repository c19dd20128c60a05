//! Which connection is the parent's.

use core::future::poll_fn;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use forebay_core_procwire::{AuthGate, AuthStep};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::socket::{Listener, Stream};

/// How long a connection may take to prove the token.
const PROOF_TIME: Duration = Duration::from_secs(5);

/// Connections that may be about to prove it. One more ends the oldest: the parent proves itself
/// at once, whoever stays silent is not the parent.
const PENDING_MAX: usize = 16;

/// Waits for the parent: the first connection, or with a token the first that proves it.
///
/// # Errors
/// The listener broke.
pub(crate) async fn adopt(listener: &mut Listener, token: Option<Arc<[u8]>>) -> io::Result<Stream> {
    let Some(token) = token else {
        return listener.accept().await;
    };
    let mut pending = JoinSet::new();
    let mut order: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                order.retain(|task| !task.is_finished());
                if order.len() >= PENDING_MAX && let Some(oldest) = order.pop_front() {
                    oldest.abort();
                }
                order.push_back(pending.spawn(prove(accepted?, Arc::clone(&token))));
            }
            Some(outcome) = pending.join_next() => {
                if let Ok(Some(stream)) = outcome {
                    return Ok(stream);
                }
            }
        }
    }
}

/// The connection, if its first bytes prove the token in time.
async fn prove(mut stream: Stream, token: Arc<[u8]>) -> Option<Stream> {
    let proof = async {
        let mut gate = AuthGate::new();
        let mut step = gate.handle_bytes(&token, &[]);
        while let AuthStep::Pending { need } = step {
            // Never more than belongs to the proof: what follows is the session's.
            let mut bytes = Vec::with_capacity(need.min(64));
            let read = poll_fn(|cx| stream.poll_read(cx, &mut bytes, need)).await;
            if read.ok()? == 0 {
                return None;
            }
            step = gate.handle_bytes(&token, &bytes);
        }
        matches!(step, AuthStep::Adopted { .. }).then_some(())
    };
    timeout(PROOF_TIME, proof).await.ok()??;
    Some(stream)
}
