//! Sockets and the event loop. Only this layer touches them; what the bytes mean is `server`'s.

mod batch;
mod event_loop;
mod listener;
mod transport;

pub use event_loop::EventLoop;
