//! DEBUG RELOAD and LOADAOF: the data set goes to the disk and comes back.

use super::is;
use crate::base::rng;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::aof;
use crate::server::cx::ServerCx;
use crate::server::functions;
use crate::server::loading;
use crate::server::snapshot;

/// Saves, empties, loads; less of it if so told. While it does, nobody is answered.
pub(super) fn reload(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (mut merges, mut empties, mut saves) = (false, true, true);
    for option in argv.tail(2).iter() {
        match () {
            _ if is(option, "MERGE") => merges = true,
            _ if is(option, "NOFLUSH") => empties = false,
            _ if is(option, "NOSAVE") => saves = false,
            _ => {
                return Err(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.".into(),
                );
            }
        }
    }
    refuse_while_loading(cx)?;
    if saves {
        snapshot::save(cx.server).map_err(|_| "ERR")?;
    }
    const FAILED: &str = "ERR Error trying to load the RDB dump, check server logs.";
    let snapshot = loading::open_to_reload(cx.server, merges).map_err(|_| FAILED)?;
    if empties {
        cx.data().empty_all(false);
        functions::flush(cx.server);
        // Nobody is told: the data come back.
        cx.server.effects.dirty = 0;
    }
    loading::load_now(cx.server, vec![snapshot]).map_err(|_| FAILED)?;
    tracing::info!("DB reloaded by DEBUG RELOAD");
    cx.reply.ok();
    Ok(())
}

/// Empties, and loads the append-only file.
pub(super) fn load_aof(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    const FAILED: &str = "ERR Error trying to load the AOF files, check server logs.";
    refuse_while_loading(cx)?;
    aof::flush_wholly(cx.server);
    let source = aof::load::source(cx.server).map_err(|_| FAILED)?;
    cx.data().empty_all(false);
    functions::flush(cx.server);
    loading::load_now(cx.server, source.into_iter().collect()).map_err(|_| FAILED)?;
    // What the commands of the file did is no doing of this one.
    cx.server.effects.reset();
    cx.server.dirty = 0;
    tracing::info!("Append Only File loaded by DEBUG LOADAOF");
    cx.reply.ok();
    Ok(())
}

/// DEBUG may be used while the data set is loaded, but that is not begun anew then.
fn refuse_while_loading(cx: &ServerCx<'_>) -> Outcome {
    if cx.server.is_loading() {
        return Err(error::LOADING);
    }
    Ok(())
}

/// The data set's history gets another name.
pub(super) fn change_replication_id(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    tracing::info!("Changing replication IDs after receiving change-repl-id");
    cx.server.replication_id = rng::hex_id(cx.server.replication_id.len());
    cx.reply.ok();
    Ok(())
}
