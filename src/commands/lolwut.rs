//! LOLWUT: a little art, and the version for clients that read it from here.

use super::args::{integer, is};
use crate::base::rng::Rng;
use crate::resp::error::Outcome;
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::ServerCx;
use crate::server::state::VERSION;

/// The command, of the server's family.
pub static COMMANDS: &[Command] = &[cmd("lolwut", -1, Server(lolwut))
    .group(Group::Server)
    .since("5.0.0")
    .flags(READONLY | FAST)
    .doc("Draws something.", "O(1)")
    .usage("[VERSION version]")];

const COLUMNS: usize = 48;
const ROWS: usize = 12;

fn lolwut(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    if let (Some(option), Some(version)) = (argv.get(1), argv.get(2))
        && is(option, "VERSION")
    {
        // There is one drawing, whatever version is asked for.
        integer(version)?;
    }
    let mut text = crystals(&mut cx.server.keyspace.rng);
    text.push_str(&format!(
        "\nCinnabar crystals, grown anew each time.\nRedis ver. {VERSION}\n"
    ));
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Crystals that grow from random seeds: a cell is filled if just one of its upper neighbours is.
fn crystals(rng: &mut Rng) -> String {
    let mut row = [false; COLUMNS];
    (0..3).for_each(|_| row[rng.below(COLUMNS as u64) as usize] = true);
    let mut text = String::new();
    for _ in 0..ROWS {
        let line: String = row
            .iter()
            .map(|&filled| if filled { '◆' } else { ' ' })
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
        let above = row;
        for (x, cell) in row.iter_mut().enumerate() {
            *cell = above[(x + COLUMNS - 1) % COLUMNS] != above[(x + 1) % COLUMNS];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_keeps_its_frame() {
        let text = crystals(&mut Rng::from_seed(7));
        assert_eq!(text.lines().count(), ROWS);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        assert!(text.contains('◆'));
    }
}
