//! Taking connections, for the server and for the proxy.

use std::future::Future;

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Serves each connection of `listener` beside the others. Aborting it closes the socket and all
/// connections.
pub(crate) fn accept<F>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    // A connection that broke before it was accepted is its client's business.
                    let Ok((stream, _)) = accepted else { continue };
                    // Without this a small reply can wait for the client's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}
