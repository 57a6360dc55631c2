//! stand-in
/// x
pub fn take_shutdown_signal() -> Option<&'static str> { None }
