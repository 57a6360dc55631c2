//! Searching an area: GEOSEARCH and its elder relatives.
//!
//! Every form becomes a [`Search`]. Its area is turned into cells, each of them a range of scores, and
//! what lies in those is measured one by one. Unsorted, places come in the order of the cells, and of
//! scores within each.

use super::hits::{Hit, Hits, Limit, Order};
use super::{place, point, reply_distance, reply_point, unit_m};
use crate::base::num::parse_f64;
use crate::commands::args::{integer, is};
use crate::commands::items::reply_item;
use crate::commands::zset;
use crate::data::geohash::{Area, Point, Shape};
use crate::keyspace::effects::Class;
use crate::keyspace::value::Collection;
use crate::keyspace::zset::{Limits, Zset, ZsetRef};
use crate::resp::error::{self, ErrorReply, Outcome};
use crate::resp::reply::Reply;
use crate::resp::request::Argv;
use crate::server::cx::DataCx;
use std::ops::ControlFlow;

/// How the area is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// `longitude latitude radius unit`.
    Coordinates,
    /// `member radius unit`.
    Member,
    /// By options.
    Options,
}

/// Whether a command stores what it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stores {
    Never,
    IfAsked,
    Always,
}

pub(super) fn georadius(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Coordinates, Stores::IfAsked)
}

pub(super) fn georadius_ro(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Coordinates, Stores::Never)
}

pub(super) fn georadiusbymember(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Member, Stores::IfAsked)
}

pub(super) fn georadiusbymember_ro(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Member, Stores::Never)
}

pub(super) fn geosearch(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Options, Stores::Never)
}

pub(super) fn geosearchstore(cx: &mut DataCx<'_>, argv: Argv<'_>) -> Outcome {
    search(cx, argv, Given::Options, Stores::Always)
}

fn search(cx: &mut DataCx<'_>, argv: Argv<'_>, given: Given, stores: Stores) -> Outcome {
    let source = source_index(stores);
    let found_at = cx.find_read(cx.key(argv, source));
    let limits = zset::limits(cx);
    let zset = match found_at {
        Some(at) => {
            let entry = cx.keyspace.db(cx.db_index).entry(at);
            Some(entry.zset().ok_or(error::WRONG_TYPE)?)
        }
        None => None,
    };
    let search = Search::parse(argv, given, stores, zset)?;
    let hits = match zset {
        Some(zset) => search.find(zset),
        None => Vec::new(),
    };
    match search.store {
        None => search.reply(cx.reply, &hits),
        Some(key) => {
            let event = match given {
                Given::Options => "geosearchstore",
                Given::Coordinates | Given::Member => "georadiusstore",
            };
            let zset = search.to_zset(&hits, limits);
            store(cx, argv, key, zset, event);
        }
    }
    Ok(())
}

/// What the area lies around.
#[derive(Clone, Copy, PartialEq)]
enum Center {
    /// It is not said yet.
    Open,
    /// These coordinates.
    Coordinates(Point),
    /// A member, which is nowhere if there is no sorted set.
    Member(Option<Point>),
}

/// What is searched for, and what becomes of it.
struct Search {
    center: Center,
    /// The shape, and how many metres its unit is.
    shape: Option<(Shape, f64)>,
    order: Option<Order>,
    count: Option<usize>,
    /// Whether any places will do, not only the nearest.
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_coordinates: bool,
    /// The argument that is the key to store the result under.
    store: Option<usize>,
    /// Whether distances are stored as scores.
    store_distance: bool,
}

impl Search {
    /// Reads the arguments. A sorted set that is not there is searched in vain, but not before the
    /// arguments are known to be right, as far as that can be told without it.
    fn parse(
        argv: Argv<'_>,
        given: Given,
        stores: Stores,
        zset: Option<ZsetRef<'_>>,
    ) -> Result<Search, ErrorReply> {
        let mut search = Search {
            center: Center::Open,
            shape: None,
            order: None,
            count: None,
            any: false,
            with_distance: false,
            with_hash: false,
            with_coordinates: false,
            store: (stores == Stores::Always).then_some(1),
            store_distance: false,
        };
        let mut i = match given {
            Given::Coordinates => {
                search.center = Center::Coordinates(point(argv, 2)?);
                search.shape = Some(circle(argv, 4)?);
                6
            }
            Given::Member => {
                search.center = member(zset, argv.at(2))?;
                if zset.is_some() {
                    search.shape = Some(circle(argv, 3)?);
                }
                5
            }
            Given::Options => 1 + source_index(stores),
        };
        while i < argv.len() {
            i += 1 + search.read_option(argv, i, given, stores, zset)?;
        }
        search.check(argv.at(0), given, stores)?;
        Ok(search)
    }

    /// Reads the option at `i` and returns how many arguments it has.
    fn read_option(
        &mut self,
        argv: Argv<'_>,
        i: usize,
        given: Given,
        stores: Stores,
        zset: Option<ZsetRef<'_>>,
    ) -> Result<usize, ErrorReply> {
        let (option, left) = (argv.at(i), argv.len() - i - 1);
        match () {
            _ if is(option, "WITHDIST") => self.with_distance = true,
            _ if is(option, "WITHHASH") => self.with_hash = true,
            _ if is(option, "WITHCOORD") => self.with_coordinates = true,
            _ if is(option, "ANY") => self.any = true,
            _ if is(option, "ASC") => self.order = Some(Order::Nearest),
            _ if is(option, "DESC") => self.order = Some(Order::Farthest),
            _ if left >= 1 && is(option, "COUNT") => {
                let count = integer(argv.at(i + 1))?;
                if count <= 0 {
                    return Err("ERR COUNT must be > 0".into());
                }
                self.count = Some(count as usize);
                return Ok(1);
            }
            _ if stores == Stores::Always && is(option, "STOREDIST") => self.store_distance = true,
            _ if stores == Stores::IfAsked && left >= 1 => {
                self.store_distance = match () {
                    _ if is(option, "STORE") => false,
                    _ if is(option, "STOREDIST") => true,
                    _ => return Err(error::SYNTAX),
                };
                self.store = Some(i + 1);
                return Ok(1);
            }
            _ if given == Given::Options => return self.read_area(argv, i, zset),
            _ => return Err(error::SYNTAX),
        }
        Ok(0)
    }

    /// Reads the option at `i`, which says what the area is, and returns how many arguments it has.
    fn read_area(
        &mut self,
        argv: Argv<'_>,
        i: usize,
        zset: Option<ZsetRef<'_>>,
    ) -> Result<usize, ErrorReply> {
        let (option, left) = (argv.at(i), argv.len() - i - 1);
        let around_point = matches!(self.center, Center::Coordinates(_));
        let around_member = matches!(self.center, Center::Member(_));
        let is_circle = matches!(self.shape, Some((Shape::Circle { .. }, _)));
        let is_rectangle = matches!(self.shape, Some((Shape::Rectangle { .. }, _)));
        match () {
            _ if left >= 1 && !around_point && is(option, "FROMMEMBER") => {
                self.center = member(zset, argv.at(i + 1))?;
                Ok(1)
            }
            _ if left >= 2 && !around_member && is(option, "FROMLONLAT") => {
                self.center = Center::Coordinates(point(argv, i + 1)?);
                Ok(2)
            }
            _ if left >= 2 && !is_rectangle && is(option, "BYRADIUS") => {
                self.shape = Some(circle(argv, i + 1)?);
                Ok(2)
            }
            _ if left >= 3 && !is_circle && is(option, "BYBOX") => {
                self.shape = Some(rectangle(argv, i + 1)?);
                Ok(3)
            }
            _ => Err(error::SYNTAX),
        }
    }

    /// Whether the options go together.
    fn check(&self, command: &[u8], given: Given, stores: Stores) -> Outcome {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_coordinates) {
            return Err(match stores {
                Stores::Always => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
                Stores::IfAsked | Stores::Never => {
                    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
            }
            .into());
        }
        let one_of = |names: &str| {
            let text = format!("ERR exactly one of {names} can be specified for ");
            Err([text.as_bytes(), command].concat().into())
        };
        if self.center == Center::Open {
            return one_of("FROMMEMBER or FROMLONLAT");
        }
        if self.shape.is_none() && given == Given::Options {
            return one_of("BYRADIUS and BYBOX");
        }
        if self.any && self.count.is_none() {
            return Err("ERR the ANY argument requires COUNT argument".into());
        }
        Ok(())
    }

    /// The places in the area, in order.
    fn find<'a>(&self, zset: ZsetRef<'a>) -> Vec<Hit<'a>> {
        let (Center::Coordinates(center) | Center::Member(Some(center)), Some((shape, unit_m))) =
            (self.center, self.shape)
        else {
            unreachable!("what is found in a sorted set has an area");
        };
        let area = Area {
            center,
            shape,
            unit_m,
        };
        let (order, limit) = match self.count {
            None => (self.order, Limit::None),
            Some(count) if self.any => (self.order, Limit::Any(count)),
            Some(count) => (self.order.or(Some(Order::Nearest)), Limit::Best(count)),
        };
        let mut hits = Hits::new(order, limit);
        for cell in area.cells() {
            let scores = cell.scores();
            let scores = scores.start as f64..scores.end as f64;
            let done = zset.visit_scores(scores, |member, score| {
                if let Some(distance_m) = area.distance_if_inside_m(Point::of_score(score)) {
                    hits.add(Hit {
                        distance_m,
                        score,
                        member,
                    });
                    if hits.suffice() {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            });
            if done.is_break() {
                break;
            }
        }
        hits.finish()
    }

    /// How many metres the unit is that distances are told in.
    fn unit_m(&self) -> f64 {
        self.shape.map_or(1.0, |(_, unit_m)| unit_m)
    }

    fn reply(&self, reply: &mut Reply, hits: &[Hit<'_>]) {
        let extras = [self.with_distance, self.with_hash, self.with_coordinates];
        let extras = extras.iter().filter(|&&wanted| wanted).count();
        reply.array(hits.len());
        for hit in hits {
            if extras > 0 {
                reply.array(1 + extras);
            }
            reply_item(reply, hit.member);
            if self.with_distance {
                reply_distance(reply, hit.distance_m / self.unit_m());
            }
            if self.with_hash {
                reply.int(hit.score as i64);
            }
            if self.with_coordinates {
                reply_point(reply, Point::of_score(hit.score));
            }
        }
    }

    /// The places as a sorted set.
    fn to_zset(&self, hits: &[Hit<'_>], limits: Limits) -> Zset {
        let longest = hits.iter().map(|hit| hit.member.len()).max();
        let mut zset = Zset::new_in(Vec::new());
        zset.expect(hits.len(), longest.unwrap_or(0), limits);
        for hit in hits {
            let score = if self.store_distance {
                hit.distance_m / self.unit_m()
            } else {
                hit.score
            };
            zset.insert(hit.member.bytes(&mut itoa::Buffer::new()), score, limits);
        }
        zset
    }
}

/// The argument that is the key to search.
fn source_index(stores: Stores) -> usize {
    match stores {
        Stores::Always => 2,
        Stores::IfAsked | Stores::Never => 1,
    }
}

/// A member as the centre. It must be there if the sorted set is.
fn member(zset: Option<ZsetRef<'_>>, name: &[u8]) -> Result<Center, ErrorReply> {
    match place(zset, name) {
        None if zset.is_some() => Err("ERR could not decode requested zset member".into()),
        center => Ok(Center::Member(center)),
    }
}

/// The circle that the arguments from `i` on are, `radius unit`, and the unit.
fn circle(argv: Argv<'_>, i: usize) -> Result<(Shape, f64), ErrorReply> {
    let radius = parse_f64(argv.at(i)).ok_or("ERR need numeric radius")?;
    if radius < 0.0 {
        return Err("ERR radius cannot be negative".into());
    }
    Ok((Shape::Circle { radius }, unit_m(argv.at(i + 1))?))
}

/// The rectangle that the arguments from `i` on are, `width height unit`, and the unit.
fn rectangle(argv: Argv<'_>, i: usize) -> Result<(Shape, f64), ErrorReply> {
    let width = parse_f64(argv.at(i)).ok_or("ERR need numeric width")?;
    let height = parse_f64(argv.at(i + 1)).ok_or("ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err("ERR height or width cannot be negative".into());
    }
    Ok((Shape::Rectangle { width, height }, unit_m(argv.at(i + 2))?))
}

/// Stores what was found under the key that argument `index` is, or deletes that if nothing was, and
/// replies with the number of places.
fn store(cx: &mut DataCx<'_>, argv: Argv<'_>, index: usize, zset: Zset, event: &'static str) {
    let key = cx.key(argv, index);
    let at = cx.find_unseen(key);
    let count = zset.as_ref().len();
    cx.reply.int(count as i64);
    if count > 0 {
        cx.store_collection(key, at, zset);
        cx.effects.dirty += count as u64;
        cx.effects.event(Class::Zset, event, cx.db_index, key.bytes);
    } else if let Some(at) = at {
        cx.delete(key, at, cx.config.lazyfree_lazy_server_del);
        cx.effects
            .changed(Class::Generic, "del", cx.db_index, key.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::request::OwnedArgv;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn parse(request: &str, zset: Option<ZsetRef<'_>>) -> Result<Search, ErrorReply> {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let (given, stores) = match words[0] {
            b"georadius" => (Given::Coordinates, Stores::IfAsked),
            b"georadius_ro" => (Given::Coordinates, Stores::Never),
            b"georadiusbymember" => (Given::Member, Stores::IfAsked),
            b"GeoSearch" => (Given::Options, Stores::Never),
            b"geosearchstore" => (Given::Options, Stores::Always),
            _ => unreachable!(),
        };
        Search::parse(
            OwnedArgv::from_slices(&words).as_argv(),
            given,
            stores,
            zset,
        )
    }

    fn zset(entries: u64, members: &[(String, Point)]) -> Zset {
        let mut zset = Zset::new_in(Vec::new());
        for (name, point) in members {
            let limits = Limits { entries, value: 64 };
            zset.insert(name.as_bytes(), point.score() as f64, limits);
        }
        zset
    }

    #[test]
    fn what_is_wrong_is_told_in_order() {
        let known = zset(9, &[("m".into(), Point::new(1.0, 1.0).unwrap())]);
        let check = |request: &str, expected: &str| {
            let error = parse(request, Some(known.as_ref())).err();
            let error = error.map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expected), "{request}");
        };
        let syntax = "ERR syntax error";
        let float = "ERR value is not a valid float";
        let pair = "ERR invalid longitude,latitude pair";
        let unit = "ERR unsupported unit provided. please use M, KM, FT, MI";
        check("georadius k x 91 1 km", float);
        check(
            "georadius k 181 91 x km",
            &format!("{pair} 181.000000,91.000000"),
        );
        check("georadius k inf 0 x km", &format!("{pair} inf,0.000000"));
        check("georadius k 1 1 x yd", "ERR need numeric radius");
        check("georadius k 1 1 -1 yd", "ERR radius cannot be negative");
        check("georadius k 1 1 1 yd nonsense", unit);
        check("georadius k 1 1 1 km nonsense", syntax);
        check("georadius k 1 1 1 km STORE", syntax);
        check("georadius_ro k 1 1 1 km STORE d", syntax);
        check("georadius k 1 1 1 km COUNT", syntax);
        check("georadius k 1 1 1 km COUNT 0", "ERR COUNT must be > 0");
        check(
            "georadius k 1 1 1 km COUNT 1.5",
            "ERR value is not an integer or out of range",
        );
        check(
            "georadius k 1 1 1 km ANY",
            "ERR the ANY argument requires COUNT argument",
        );
        check(
            "georadius k 1 1 1 km STORE d WITHDIST ANY",
            "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        );
        let no_member = "ERR could not decode requested zset member";
        check("georadiusbymember k n x yd", no_member);
        check("GeoSearch k FROMMEMBER n nonsense", no_member);
        check(
            "GeoSearch k FROMMEMBER m FROMLONLAT 1 1 BYRADIUS 1 km",
            syntax,
        );
        check(
            "GeoSearch k FROMLONLAT 1 1 BYRADIUS 1 km BYBOX 1 1 km",
            syntax,
        );
        check("GeoSearch k FROMLONLAT 1 1 BYRADIUS 1 km STOREDIST", syntax);
        check(
            "GeoSearch k FROMLONLAT 1 1 BYBOX x -1 yd",
            "ERR need numeric width",
        );
        check(
            "GeoSearch k FROMLONLAT 1 1 BYBOX 1 x yd",
            "ERR need numeric height",
        );
        check(
            "GeoSearch k FROMLONLAT 1 1 BYBOX 1 -1 yd",
            "ERR height or width cannot be negative",
        );
        check(
            "GeoSearch k BYRADIUS 1 km ANY ASC",
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GeoSearch",
        );
        check(
            "GeoSearch k FROMMEMBER m ANY ASC",
            "ERR exactly one of BYRADIUS and BYBOX can be specified for GeoSearch",
        );
        check(
            "geosearchstore d k FROMMEMBER m WITHHASH",
            "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        );
    }

    #[test]
    fn without_a_sorted_set_no_member_is_missed() {
        assert!(parse("georadiusbymember k n x yd", None).is_ok());
        assert!(parse("GeoSearch k FROMMEMBER n BYRADIUS 1 m", None).is_ok());
        assert!(parse("GeoSearch k FROMMEMBER n BYRADIUS x m", None).is_err());
    }

    #[test]
    fn the_last_key_to_store_under_counts() {
        let check = |request: &str, store, store_distance| {
            let search = parse(request, None).expect("a good request");
            let found = (search.store, search.store_distance);
            assert_eq!(found, (store, store_distance), "{request}");
        };
        check("georadius k 1 1 1 km", None, false);
        check(
            "georadius k 1 1 1 km STORE a storedist b ASC",
            Some(9),
            true,
        );
        check("georadius k 1 1 1 km STOREDIST a STORE b", Some(9), false);
        let area = "FROMLONLAT 1 1 BYRADIUS 1 m";
        check(&format!("geosearchstore d k {area}"), Some(1), false);
        check(
            &format!("geosearchstore d k STOREDIST {area}"),
            Some(1),
            true,
        );
    }

    fn names(hits: &[Hit<'_>]) -> Vec<Vec<u8>> {
        let name = |hit: &Hit<'_>| hit.member.bytes(&mut itoa::Buffer::new()).to_vec();
        hits.iter().map(name).collect()
    }

    proptest! {
        #[test]
        fn finds_what_is_inside(
            points in vec((-180.0..180.0f64, -80.0..80.0f64), 0..60),
            (longitude, latitude) in (-180.0..180.0f64, -80.0..80.0f64),
            size in (3.0..7.3f64).prop_map(|exponent| 10f64.powf(exponent)),
            is_box: bool,
            count in 1..20usize,
        ) {
            let members: Vec<_> = points
                .iter()
                .enumerate()
                .map(|(i, p)| (i.to_string(), Point::new(p.0, p.1).unwrap()))
                .collect();
            let pack = zset(128, &members);
            let tree = zset(0, &members);
            let shape = if is_box { format!("BYBOX {size} {size} m") } else { format!("BYRADIUS {size} m") };
            let find = |options: &str, zset: &Zset| {
                let request = format!("GeoSearch k FROMLONLAT {longitude} {latitude} {shape}{options}");
                names(&parse(&request, None).unwrap().find(zset.as_ref()))
            };
            let area = Area {
                center: Point::new(longitude, latitude).unwrap(),
                shape: match is_box {
                    true => Shape::Rectangle { width: size, height: size },
                    false => Shape::Circle { radius: size },
                },
                unit_m: 1.0,
            };
            let mut expected: Vec<_> = members
                .iter()
                .filter_map(|(name, point)| {
                    let stored = Point::of_score(point.score() as f64);
                    Some((area.distance_if_inside_m(stored)?, name.clone().into_bytes()))
                })
                .collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0));
            let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).collect();
            prop_assert_eq!(find(" ASC", &pack), expected.clone());
            let unsorted = find("", &pack);
            let mut all = unsorted.clone();
            all.sort();
            let mut sorted = expected.clone();
            sorted.sort();
            prop_assert_eq!(all, sorted);
            prop_assert_eq!(find("", &tree), unsorted.clone());
            let first = |all: &[Vec<u8>]| all[..count.min(all.len())].to_vec();
            let farthest: Vec<_> = expected.iter().rev().cloned().collect();
            prop_assert_eq!(find(&format!(" COUNT {count}"), &tree), first(&expected));
            prop_assert_eq!(find(&format!(" COUNT {count} DESC"), &tree), first(&farthest));
            prop_assert_eq!(find(&format!(" COUNT {count} ANY"), &tree), first(&unsorted));
        }
    }
}
