//! A registry for trying clients against: `cargo run -p sealmark-server --example registry -- DIRECTORY [ADDRESS]`.

use std::error::Error;
use std::path::Path;

use sealmark_server::registry;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .ok_or("usage: registry DIRECTORY [ADDRESS]")?;
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let listener = TcpListener::bind(&address).await?;
    eprintln!("serving {directory} on http://{}/", listener.local_addr()?);
    let interrupted = async {
        // Without the signal there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    };
    registry::serve(Path::new(&directory), listener, interrupted).await?;
    Ok(())
}
