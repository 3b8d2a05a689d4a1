//! What every service gets from the listener, whichever it is: seen by well-meaning clients and by others.

mod http2;
mod running;
mod services;
