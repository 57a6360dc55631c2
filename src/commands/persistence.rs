//! Snapshots by command: SAVE, BGSAVE, LASTSAVE.

use super::args::is;
use crate::resp::error::{self, Outcome};
use crate::resp::request::Argv;
use crate::server::children;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::snapshot;

const G: Group = Group::Server;

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("bgsave", -1, Server(bgsave))
        .group(G)
        .flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING)
        .doc(
            "Has a child process save the data set to disk.",
            "O(1), and a fork, which takes longer the more memory there is",
        )
        .usage("[SCHEDULE|CANCEL]")
        .history(&[
            ("3.2.2", "Added the `SCHEDULE` option."),
            ("8.1.0", "Added the `CANCEL` option."),
        ]),
    cmd("lastsave", 1, Server(lastsave))
        .group(G)
        .categories(CAT_ADMIN | CAT_DANGEROUS)
        .flags(LOADING | STALE | FAST)
        .doc(
            "Returns the Unix time of the last save to disk that succeeded.",
            "O(1)",
        )
        .tips(&["nondeterministic_output"]),
    cmd("save", 1, Server(save))
        .group(G)
        .flags(ADMIN | NOSCRIPT | NO_MULTI | NO_ASYNC_LOADING)
        .doc(
            "Saves the data set to disk while everybody waits.",
            "O(N) in the number of keys",
        ),
];

const SAVING: &str = "ERR Background save already in progress";

fn save(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    if cx.server.children.is_saving() {
        return Err(SAVING.into());
    }
    cx.server.snapshots.begun += 1;
    snapshot::save(cx.server).map_err(|_| "ERR")?;
    cx.reply.ok();
    Ok(())
}

fn bgsave(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut is_patient = false;
    match argv.get(1) {
        None => {}
        Some(option) if argv.len() == 2 && is(option, "SCHEDULE") => is_patient = true,
        Some(option) if argv.len() == 2 && is(option, "CANCEL") => return cancel(cx),
        Some(_) => return Err(error::SYNTAX),
    }
    // The commands of a transaction do not wait for a fork.
    let is_in_multi = cx.client().is_in_multi();
    if cx.server.children.is_saving() {
        return Err(SAVING.into());
    }
    if cx.server.children.is_any() || is_in_multi {
        if !is_patient && !is_in_multi {
            return Err(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                 schedule a BGSAVE whenever possible."
                    .into(),
            );
        }
        cx.server.snapshots.is_scheduled = true;
        let reason = if is_patient {
            "due to user request"
        } else {
            "to run after transaction execution"
        };
        tracing::info!("Background saving scheduled {reason}");
        cx.reply.simple("Background saving scheduled");
        return Ok(());
    }
    snapshot::begin(cx.server).map_err(|_| "ERR")?;
    cx.reply.simple("Background saving started");
    Ok(())
}

fn cancel(cx: &mut ServerCx<'_>) -> Outcome {
    if cx.server.children.is_saving() {
        tracing::info!("Background saving will be aborted due to user request");
        children::dismiss(cx.server);
        cx.reply.simple("Background saving cancelled");
    } else if cx.server.snapshots.is_scheduled {
        tracing::info!("Scheduled background saving will be cancelled due to user request");
        cx.server.snapshots.is_scheduled = false;
        cx.reply.simple("Scheduled background saving cancelled");
    } else {
        return Err("ERR Background saving is currently not in progress or scheduled".into());
    }
    Ok(())
}

fn lastsave(cx: &mut ServerCx<'_>, _argv: Argv<'_>) -> Outcome {
    cx.reply.int(cx.server.snapshots.saved_s);
    Ok(())
}
