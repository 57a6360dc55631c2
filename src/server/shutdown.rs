//! The end of the server: what must be on the disk first, and what may stand in the way.

use crate::base::sys;
use crate::server::aof::{self, State};
use crate::server::children;
use crate::server::client::{Client, Slot};
use crate::server::config::shutdown as flags;
use crate::server::snapshot;
use crate::server::state::{Server, Shutdown};

/// The server cannot end without losing data; the log says why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// Ends the server after what `wanted` (bits of [`flags`]) and the configuration say is to be saved, or goes on
/// running if that fails and no force is to be used.
pub fn begin(server: &mut Server, wanted: u32, by: Option<Slot>) -> Result<(), Refused> {
    // What is half loaded must not replace the whole.
    let wanted = if server.loading.is_some() {
        wanted & !flags::SAVE | flags::NOSAVE
    } else {
        wanted
    };
    match by {
        Some(slot) => {
            let client = describe(server.clients.at(slot));
            tracing::info!("User requested shutdown... (user request from '{client}')");
        }
        None => tracing::info!("User requested shutdown..."),
    }
    server.supervisor.stopping();
    if let Err(reason) = settle(server, wanted) {
        if wanted & flags::FORCE == 0 {
            tracing::warn!("{reason}, can't exit.");
            server.supervisor.status(&format!("{reason}, can't exit."));
            tracing::warn!(
                "Errors trying to shut down the server. Check the logs for more information."
            );
            sys::clear_stop_signal();
            return Err(Refused);
        }
        tracing::warn!("{reason}. Exit anyway.");
    }
    server.shutdown = Some(Shutdown::Exit);
    Ok(())
}

/// Who it was, in fewer words than CLIENT INFO has.
fn describe(client: &Client) -> String {
    format!(
        "id={} addr={} laddr={} fd={} name={} user={}",
        client.id,
        client.peer,
        client.local,
        client.fd,
        client.name().escape_ascii(),
        client.user()
    )
}

/// Brings to the disk what is to be there.
fn settle(server: &mut Server, wanted: u32) -> Result<(), &'static str> {
    if server.children.is_saving() {
        tracing::warn!("There is a child saving an .rdb. Killing it!");
        children::dismiss_and_wait(server);
    }
    if server.children.is_rewriting() {
        if server.aof.state() == State::Beginning && wanted & flags::FORCE == 0 {
            return Err("Writing initial AOF");
        }
        tracing::warn!("There is a child rewriting the AOF. Killing it!");
        children::dismiss_and_wait(server);
    }
    if server.aof.is_recording() {
        tracing::info!("Calling fsync() on the AOF file.");
        aof::flush_wholly(server);
    }
    let is_wanted = wanted & flags::SAVE != 0;
    let is_usual = !server.config.save.is_empty() && wanted & flags::NOSAVE == 0;
    if is_wanted || is_usual {
        tracing::info!("Saving the final RDB snapshot before exiting.");
        server.supervisor.status("Saving the final RDB snapshot");
        snapshot::save(server).map_err(|_| "Error trying to save the DB")?;
    }
    Ok(())
}
