//! Places on Earth: sorted sets whose scores stand for points.
//!
//! This file holds the family's table, and the commands that add places and show what is known of
//! those that are named. Searching an area is [`search`]'s, in all its forms. What scores mean, and
//! all of the geometry, is [`crate::data::geohash`]'s.

mod hits;
mod search;

use super::args::is;
use super::zset::add::{self, AddOptions};
use crate::base::num::parse_f64;
use crate::data::geohash::{Point, TEXT_MAX, format_coordinate, format_distance};
use crate::keyspace::zset::ZsetRef;
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::{Proto, Reply};
use crate::resp::request::Argv;
use crate::server::command::*;
use crate::server::cx::DataCx;

const G: Group = Group::Geo;

/// The key that is read: the first argument.
const READ: &[KeySpec] = &[FIRST.flags(RO | ACCESS)];
/// The key that is read, and the one that an option after five or six arguments writes.
const READ_AND_STORE_5: &[KeySpec] = &[READ[0], option("STORE", 5), option("STOREDIST", 5)];
const READ_AND_STORE_6: &[KeySpec] = &[READ[0], option("STORE", 6), option("STOREDIST", 6)];

/// A key that is written, behind this word.
const fn option(word: &'static str, from: i32) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword(word, from),
        ..FIRST.flags(OW | UPDATE)
    }
}

const ANY_HISTORY: (&str, &str) = ("6.2.0", "Added the `ANY` option for `COUNT`.");
const CASE_HISTORY: (&str, &str) = ("7.0.0", "Added support for uppercase unit names.");

const SEARCH_COST: &str =
    "O(N+log(M)) for N members in the cells around the area and M members in all";

/// The family's table.
pub static COMMANDS: &[Command] = &[
    cmd("geoadd", -5, Data(geoadd))
        .group(G)
        .since("3.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(RW | UPDATE)])
        .doc(
            "Adds places or moves them.",
            "O(log(N)) a place, for N members",
        )
        .usage("key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]")
        .history(&[("6.2.0", "Added the `CH`, `NX` and `XX` options.")]),
    cmd("geodist", -4, Data(geodist))
        .group(G)
        .since("3.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc("Returns how far two places are apart.", "O(1)")
        .usage("key member1 member2 [M|KM|FT|MI]"),
    cmd("geohash", -2, Data(geohash))
        .group(G)
        .since("3.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc("Returns places as standard geohashes.", "O(1) a place")
        .usage("key [member ...]"),
    cmd("geopos", -2, Data(geopos))
        .group(G)
        .since("3.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc("Returns longitude and latitude of places.", "O(1) a place")
        .usage("key [member ...]"),
    cmd("georadius", -6, Data(search::georadius))
        .group(G)
        .since("3.2.0")
        .flags(WRITE | DENYOOM)
        .keys(READ_AND_STORE_6)
        .doc(
            "Returns or stores the places within a distance from a point.",
            SEARCH_COST,
        )
        .usage(
            "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC] [STORE storekey|STOREDIST storedistkey]",
        )
        .history(&[ANY_HISTORY, CASE_HISTORY])
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
        ),
    cmd("georadius_ro", -6, Data(search::georadius_ro))
        .group(G)
        .since("3.2.10")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the places within a distance from a point.",
            SEARCH_COST,
        )
        .usage(
            "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC]",
        )
        .history(&[ANY_HISTORY, CASE_HISTORY])
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    cmd("georadiusbymember", -5, Data(search::georadiusbymember))
        .group(G)
        .since("3.2.0")
        .flags(WRITE | DENYOOM)
        .keys(READ_AND_STORE_5)
        .doc(
            "Returns or stores the places within a distance from one of them.",
            SEARCH_COST,
        )
        .usage(
            "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC] [STORE storekey|STOREDIST storedistkey]",
        )
        .history(&[ANY_HISTORY, CASE_HISTORY])
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
    cmd(
        "georadiusbymember_ro",
        -5,
        Data(search::georadiusbymember_ro),
    )
    .group(G)
    .since("3.2.10")
    .flags(READONLY)
    .keys(READ)
    .doc(
        "Returns the places within a distance from one of them.",
        SEARCH_COST,
    )
    .usage(
        "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC]",
    )
    .history(&[ANY_HISTORY, CASE_HISTORY])
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
    cmd("geosearch", -7, Data(search::geosearch))
        .group(G)
        .since("6.2.0")
        .flags(READONLY)
        .keys(READ)
        .doc(
            "Returns the places within a circle or rectangle.",
            SEARCH_COST,
        )
        .usage(
            "key <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] \
             [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        )
        .history(&[CASE_HISTORY]),
    cmd("geosearchstore", -8, Data(search::geosearchstore))
        .group(G)
        .since("6.2.0")
        .flags(WRITE | DENYOOM)
        .keys(&[FIRST.flags(OW | UPDATE), KeySpec::at(2).flags(RO | ACCESS)])
        .doc(
            "Stores the places within a circle or rectangle.",
            SEARCH_COST,
        )
        .usage(
            "destination source <FROMMEMBER member|FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] \
             [COUNT count [ANY]] [STOREDIST]",
        )
        .history(&[CASE_HISTORY]),
];

/// The point that the arguments at `i` and behind it are longitude and latitude of.
fn point(argv: Argv<'_>, i: usize) -> Result<Point, ErrorReply> {
    let degrees = |i| parse_f64(argv.at(i)).ok_or(error::NOT_A_FLOAT);
    let (longitude, latitude) = (degrees(i)?, degrees(i + 1)?);
    Point::new(longitude, latitude).ok_or_else(|| {
        format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into()
    })
}

/// How many metres a unit is.
fn unit_m(arg: &[u8]) -> Result<f64, ErrorReply> {
    Ok(match () {
        _ if is(arg, "m") => 1.0,
        _ if is(arg, "km") => 1000.0,
        _ if is(arg, "ft") => 0.3048,
        _ if is(arg, "mi") => 1609.34,
        _ => return Err("ERR unsupported unit provided. please use M, KM, FT, MI".into()),
    })
}

/// The place of this name.
fn place(zset: Option<ZsetRef<'_>>, member: &[u8]) -> Option<Point> {
    Some(Point::of_score(zset?.score(member)?))
}

fn reply_distance(reply: &mut Reply, distance: f64) {
    reply.bulk(format_distance(&mut [0; TEXT_MAX], distance));
}

fn reply_point(reply: &mut Reply, point: Point) {
    reply.array(2);
    for degrees in [point.longitude(), point.latitude()] {
        let mut text = [0; TEXT_MAX];
        let text = format_coordinate(&mut text, degrees);
        match reply.proto() {
            Proto::Resp2 => reply.bulk(text),
            // A double, but longer than its shortest text.
            Proto::Resp3 => {
                reply.raw(b",");
                reply.raw(text);
                reply.raw(b"\r\n");
            }
        }
    }
}

fn geoadd(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let mut options = AddOptions::default();
    let mut first = 2;
    while let Some(option) = argv.get(first) {
        match option {
            _ if is(option, "NX") => options.only_new = true,
            _ if is(option, "XX") => options.only_known = true,
            _ if is(option, "CH") => options.count_changed = true,
            _ => break,
        }
        first += 1;
    }
    let places = argv.tail(first);
    let is_whole = !places.is_empty() && places.len().is_multiple_of(3);
    if !is_whole || options.only_new && options.only_known {
        return Err(error::SYNTAX);
    }
    let (first_score, mut longest) = (point(places, 0)?.score(), places.at(2).len());
    for i in (3..places.len()).step_by(3) {
        point(places, i)?;
        longest = longest.max(places.at(i + 2).len());
    }
    let count = places.len() / 3;
    let score = |i: usize| match i {
        0 => first_score,
        _ => point(places, 3 * i).expect("checked above").score(),
    };
    add::add(cx, argv, options, count, longest, |i| {
        (places.at(3 * i + 2), score(i) as f64)
    })?;
    // A replica is told what a place comes down to, and need not know how.
    if cx.effects.dirty > 0 && cx.effects.propagates() {
        let scores: Vec<String> = (0..count).map(|i| score(i).to_string()).collect();
        let mut command: Vec<&[u8]> = vec![b"ZADD"];
        command.extend(argv.tail(1).iter().take(first - 1));
        for (i, score) in scores.iter().enumerate() {
            command.extend([score.as_bytes(), places.at(3 * i + 2)]);
        }
        cx.effects.rewrite(&command);
    }
    Ok(())
}

fn geodist(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    let unit_m = match argv.get(4) {
        None => 1.0,
        Some(_) if argv.len() > 5 => return Err(error::SYNTAX),
        Some(unit) => unit_m(unit)?,
    };
    let distance_m = match cx.find_read(cx.key(argv, 1)) {
        Some(at) => {
            let zset = Some(cx.entry(at).zset().ok_or(error::WRONG_TYPE)?);
            let ends = place(zset, argv.at(2)).zip(place(zset, argv.at(3)));
            ends.map(|(from, to)| from.distance_m(to))
        }
        None => None,
    };
    match distance_m {
        Some(distance_m) => reply_distance(cx.reply, distance_m / unit_m),
        None => cx.reply.null(),
    }
    Ok(())
}

fn geohash(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_places(cx, argv, |reply, place| match place {
        Some(place) => reply.bulk(&place.geohash()),
        None => reply.null(),
    })
}

fn geopos(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    reply_places(cx, argv, |reply, place| match place {
        Some(place) => reply_point(reply, place),
        None => reply.null_array(),
    })
}

/// Replies with what `show` makes of each place that is named.
fn reply_places(
    cx: &mut DataCx<'_>,
    argv: Argv<'_>,
    show: impl Fn(&mut Reply, Option<Point>),
) -> Outcome {
    let zset = match cx.find_read(cx.key(argv, 1)) {
        Some(at) => {
            let entry = cx.keyspace.db(cx.db_index).entry(at);
            Some(entry.zset().ok_or(error::WRONG_TYPE)?)
        }
        None => None,
    };
    let members = argv.tail(2);
    cx.reply.array(members.len());
    for member in members.iter() {
        show(cx.reply, place(zset, member));
    }
    Ok(())
}
