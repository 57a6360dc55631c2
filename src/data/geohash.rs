//! Places on Earth as numbers that sort by neighbourhood.
//!
//! Longitude and latitude are halved again and again; the halves taken are the bits of a number, of
//! longitude and latitude in turn, longitude first. Points that share a prefix lie in the same cell, so
//! a cell is a range of numbers. A point takes 26 steps, 52 bits, which a sorted set's score holds
//! exactly, and comes back as the centre of its smallest cell, some 0.6 m wide.
//!
//! This file owns points: that encoding, the standard geohash text, distances, and both as replies show
//! them. Searching is [`Area`]'s. Results are Redis's to the last bit, which is why formulas keep its
//! order of operations, and its sphere: latitudes up to those of the square Mercator map and a mean
//! radius. What a name stands for and in which unit a client counts is the commands' matter.

mod area;
#[cfg(test)]
mod tests;

pub use area::{Area, Cell, Shape};

use std::io::Write;

/// The radius of Earth, in metres.
pub const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// The highest longitude, in degrees; its negative is the lowest.
pub const LONGITUDE_MAX: f64 = 180.0;
/// The highest latitude, in degrees; its negative is the lowest.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Room for a distance or coordinate as text.
pub const TEXT_MAX: usize = 32;

/// How often each coordinate of a point is halved.
const STEPS: u32 = 26;
/// The geohash standard's digits.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// The standard takes all latitudes there are.
const STANDARD_LATITUDE_MAX: f64 = 90.0;

/// A point whose coordinates, in degrees, are in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    longitude: f64,
    latitude: f64,
}

impl Point {
    /// The point at these coordinates, if they are in range.
    pub fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let in_range = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        in_range.then_some(Point {
            longitude,
            latitude,
        })
    }

    /// The point that a score stands for. Scores that no point has stand for some point too.
    pub fn of_score(score: f64) -> Point {
        const TWO_TO_63: f64 = (1u64 << 63) as f64;
        // As x86 converts: below zero, bits are those of the signed number; too much is nothing.
        let bits = match score {
            ..TWO_TO_63 => score as i64 as u64,
            _ if score < 2.0 * TWO_TO_63 => score as u64,
            _ => 0,
        };
        Cell::of_bits(bits, STEPS).centre()
    }

    /// The number that stands for it in a sorted set. It has 52 bits, or a few more at the very upper
    /// end of a coordinate.
    pub fn score(self) -> u64 {
        Cell::around(self, STEPS).bits()
    }

    /// Degrees east of Greenwich.
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Degrees north of the equator.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// The standard geohash. The last of its 11 digits would need more bits than there are, and is 0.
    pub fn geohash(self) -> [u8; 11] {
        let x = nth_part(self.longitude, LONGITUDE_MAX, STEPS);
        let y = nth_part(self.latitude, STANDARD_LATITUDE_MAX, STEPS);
        let bits = interleave(x, y);
        let mut text = [DIGITS[0]; 11];
        for (i, digit) in text[..10].iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (2 * STEPS as usize - 5 * (i + 1)) & 31) as usize];
        }
        text
    }

    /// The way to another point along a great circle, in metres, by the haversine formula.
    pub fn distance_m(self, other: Point) -> f64 {
        let longitudes = radians(other.longitude) - radians(self.longitude);
        let v = (longitudes / 2.0).sin();
        if v == 0.0 {
            return latitude_distance_m(self.latitude, other.latitude);
        }
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        // Between opposite ends of Earth it may come out a little above 1.
        2.0 * EARTH_RADIUS_M * a.min(1.0).sqrt().asin()
    }
}

/// A distance as replies show it: four decimals, ties to even.
pub fn format_distance(buffer: &mut [u8; TEXT_MAX], distance: f64) -> &[u8] {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let (sign, magnitude) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    let (whole, decimals) = (magnitude / 10_000, magnitude % 10_000);
    write_to(buffer, format_args!("{sign}{whole}.{decimals:04}"))
}

/// A coordinate as replies show it: 17 decimals without the zeros at their end.
pub fn format_coordinate(buffer: &mut [u8; TEXT_MAX], degrees: f64) -> &[u8] {
    let text = write_to(buffer, format_args!("{degrees:.17}"));
    let zeros = text.iter().rev().take_while(|&&byte| byte == b'0').count();
    match &text[..text.len() - zeros] {
        b"-0." => b"0",
        [text @ .., b'.'] => text,
        text => text,
    }
}

fn write_to<'a>(buffer: &'a mut [u8; TEXT_MAX], text: std::fmt::Arguments<'_>) -> &'a [u8] {
    let mut rest = &mut buffer[..];
    rest.write_fmt(text).expect("the buffer has room for any");
    let unused = rest.len();
    &buffer[..TEXT_MAX - unused]
}

/// The way along a meridian.
fn latitude_distance_m(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_M * (radians(to) - radians(from)).abs()
}

// Not the standard library's, which leaves open how exact they are.
fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// In which of 2^steps equal parts of -max to max a coordinate lies; 2^steps at the very end.
fn nth_part(coordinate: f64, max: f64, steps: u32) -> u32 {
    let share = (coordinate + max) / (max + max);
    (share * (1u64 << steps) as f64) as u32
}

/// Where such a part begins.
fn part_begin(part: u32, max: f64, steps: u32) -> f64 {
    -max + f64::from(part) / (1u64 << steps) as f64 * (max + max)
}

/// Bits of both in turn, the highest of `x` first.
fn interleave(x: u32, y: u32) -> u64 {
    spread(x) << 1 | spread(y)
}

/// Masks of bits in groups of 1, 2, 4, 8, 16, as many again between each two.
const GROUPS: [(u32, u64); 5] = [
    (1, 0x5555_5555_5555_5555),
    (2, 0x3333_3333_3333_3333),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (8, 0x00ff_00ff_00ff_00ff),
    (16, 0x0000_ffff_0000_ffff),
];

/// Puts a zero before each bit.
fn spread(bits: u32) -> u64 {
    let groups = GROUPS.iter().rev();
    groups.fold(u64::from(bits), |bits, (width, mask)| {
        (bits | bits << width) & mask
    })
}

/// Takes every second bit, the lowest among them.
fn gather(bits: u64) -> u32 {
    let alone = bits & GROUPS[0].1;
    let wider = GROUPS[1..].iter();
    let halves = wider.fold(alone, |bits, (width, mask)| {
        (bits | bits >> (width / 2)) & mask
    });
    (halves | halves >> 16) as u32
}
