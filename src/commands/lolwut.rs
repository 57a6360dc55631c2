//! LOLWUT: a little art, and the version for clients that read it from here.

use super::args::{integer, is};
use crate::base::rng::Rng;
use crate::resp::error::{ErrorReply, Outcome};
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
    .usage("[VERSION version [size [size [size]]]]")];

const COLUMNS: usize = 48;
const ROWS: usize = 12;
/// The most columns of any drawing, so that none takes long.
const COLUMNS_MAX: i64 = 1000;

fn lolwut(cx: &mut ServerCx<'_>, argv: Argv<'_>) -> Outcome {
    let (version, sizes) = match (argv.get(1), argv.get(2)) {
        (Some(option), Some(version)) if is(option, "VERSION") => (integer(version)?, argv.tail(3)),
        _ => (0, argv.tail(1)),
    };
    let size = |i: usize, default: i64, max: i64| -> Result<usize, ErrorReply> {
        let given = sizes.get(i).map_or(Ok(default), integer)?;
        Ok(given.clamp(1, max) as usize)
    };
    let rng = &mut cx.server.keyspace.rng;
    let mut text = match version {
        5 => mosaic(
            rng,
            size(0, 66, COLUMNS_MAX)?,
            size(1, 8, 200)?,
            size(2, 12, 200)?,
        ),
        6 => skyline(rng, size(0, 80, COLUMNS_MAX)?, size(1, 20, 1000)?),
        _ => crystals(rng),
    };
    text.push_str(&format!("Redis ver. {VERSION}\n"));
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Tiles that are hatched one way or the other, so many in a row of so many columns.
fn mosaic(rng: &mut Rng, columns: usize, tiles: usize, rows: usize) -> String {
    let mut text = String::new();
    for _ in 0..rows {
        let hatch: Vec<char> = (0..tiles)
            .map(|_| if rng.below(2) == 0 { '╱' } else { '╲' })
            .collect();
        text.extend((0..columns).map(|x| hatch[x * tiles / columns]));
        text.push('\n');
    }
    text.push_str("\nA mosaic of two tiles.\n");
    text
}

/// Houses of random width and height. The size is that of the dots of a finer drawing, of which a letter stands for
/// two by four.
fn skyline(rng: &mut Rng, columns: usize, rows: usize) -> String {
    let (columns, rows) = (columns.div_ceil(2), rows.div_ceil(4));
    let mut roofs = Vec::new();
    while roofs.len() < columns {
        let (width, height) = (2 + rng.below(5), 1 + rng.below(rows as u64));
        roofs.extend((0..width).map(|_| height as usize));
    }
    let mut text = String::new();
    for row in (1..=rows).rev() {
        let line: String = roofs[..columns]
            .iter()
            .map(|&roof| if roof >= row { '▓' } else { ' ' })
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("\nA city at night.\n");
    text
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
    text.push_str("\nCinnabar crystals, grown anew each time.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::Session;

    /// The drawing's lines, without what is said below it.
    fn check(text: &str, rows: usize, columns: usize) {
        let (drawing, _) = text.split_once("\n\n").expect("a line between");
        assert_eq!(drawing.lines().count(), rows);
        assert!(drawing.lines().all(|line| line.chars().count() <= columns));
        assert!(!drawing.is_ascii());
    }

    #[test]
    fn drawings_keep_their_frames() {
        let rng = &mut Rng::from_seed(7);
        check(&crystals(rng), ROWS, COLUMNS);
        check(&mosaic(rng, 66, 8, 12), 12, 66);
        check(&mosaic(rng, 3, 200, 1), 1, 3);
        check(&skyline(rng, 80, 20), 5, 40);
        check(&skyline(rng, 1, 1), 1, 1);
    }

    #[test]
    fn versions_take_the_sizes_that_they_draw() {
        let mut s = Session::new();
        for request in ["lolwut", "lolwut x", "lolwut version", "lolwut version 7 x"] {
            assert!(s.run(request).contains("Redis ver. "), "{request}");
        }
        for request in [
            "lolwut version x",
            "lolwut version 5 x",
            "lolwut version 5 1 1 x",
            "lolwut version 6 1 x",
        ] {
            let refusal = "-ERR value is not an integer or out of range";
            assert_eq!(s.run(request), refusal, "{request}");
        }
        assert!(s.run("lolwut version 6 -1 99999 x").contains("Redis ver. "));
    }
}
