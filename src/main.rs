//! stand-in
use cinnabar::{base, commands, net, server};
fn main() {
    let config = server::config::Config::default();
    let server = server::state::Server::new(
        config,
        commands::FAMILIES,
        base::hash::process(),
        base::rng::Rng::from_os(),
    );
    let mut l = net::EventLoop::new(server).unwrap();
    println!("Ready to accept connections");
    l.run();
}
