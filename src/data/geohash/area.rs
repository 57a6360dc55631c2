//! Searching: a circle or rectangle around a point, and the cells that may hold what lies in it.
//!
//! A cell about twice as wide as the area and the eight around it are enough to cover it, wherever in
//! the middle one its centre lies; those that the area does not reach are left out.
//!
//! ```text
//! +----+----+----+
//! | NW | N  | NE |     cells of 2^-s of the map in each direction;
//! +----+----+----+     the map ends in the north and south, while
//! | W  |  c | E  |     east of the easternmost is the westernmost
//! +----+----+----+
//! | SW | S  | SE |
//! +----+----+----+
//! ```
//!
//! Size, choice and order of the cells are Redis's, because they decide in which order the results of an
//! unsorted search come. But Redis reckons how far an area reaches east and west by a formula that fails
//! when it touches a pole, and runs short for rectangles some thousand kilometres wide; it finds less
//! then. The formula here is right in these cases too, and the cells are made larger until they suffice.

use super::{
    EARTH_RADIUS_M, LATITUDE_MAX, LONGITUDE_MAX, Point, STEPS, degrees, gather, interleave,
    latitude_distance_m, nth_part, part_begin, radians,
};
use std::ops::Range;

/// Half the length of the equator on the Mercator map, in metres, as the choice of cells takes it.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// The middle cell, and where its neighbours are: in the order in which they are searched.
const AROUND: [(i8, i8); 9] = [
    (0, 0),
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

/// What a search covers.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// The middle of it.
    pub center: Point,
    /// Its form and size.
    pub shape: Shape,
    /// How many metres the unit is that the size is given in.
    pub unit_m: f64,
}

/// The form of an area; sizes are not negative.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// All that is no farther than this.
    #[allow(missing_docs)]
    Circle { radius: f64 },
    /// All that is no farther than half the width in the east or west, measured along its own parallel,
    /// and no farther than half the height in the north or south.
    #[allow(missing_docs)]
    Rectangle { width: f64, height: f64 },
}

impl Area {
    /// How far a point is from the centre, in metres, if it is in the area.
    pub fn distance_if_inside_m(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let distance = self.center.distance_m(point);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Shape::Rectangle { width, height } => {
                let north = latitude_distance_m(point.latitude, self.center.latitude);
                if north > height * self.unit_m / 2.0 {
                    return None;
                }
                let same_parallel = Point {
                    latitude: point.latitude,
                    ..self.center
                };
                if point.distance_m(same_parallel) > width * self.unit_m / 2.0 {
                    return None;
                }
                Some(self.center.distance_m(point))
            }
        }
    }

    /// The cells that hold all points of the area, and others. None comes twice.
    pub fn cells(&self) -> impl Iterator<Item = Cell> + use<> {
        let (center, reach) = (self.center, Reach::of(self));
        let mut steps = self.estimated_steps();
        if steps > 1 && Cell::around(center, steps).is_too_near_an_edge(center, &reach) {
            steps -= 1;
        }
        while steps > 1 && !Cell::around(center, steps).and_neighbours_cover(center, &reach) {
            steps -= 1;
        }
        let middle = Cell::around(center, steps);
        // Cells of a quarter of the map are next to each other on both sides.
        let excluded = if steps >= 2 {
            middle.useless_neighbours(center, &reach)
        } else {
            Excluded::default()
        };
        let wanted = AROUND.into_iter().filter(move |&at| !excluded.has(at));
        let mut previous = None;
        wanted.filter_map(move |(east, north)| {
            let cell = middle.neighbour(east, north);
            (previous.replace(cell) != Some(cell)).then_some(cell)
        })
    }

    /// How many steps make cells of a fitting size, to begin with.
    fn estimated_steps(&self) -> u32 {
        let radius_m = self.unit_m
            * match self.shape {
                Shape::Circle { radius } => radius,
                Shape::Rectangle { width, height } => {
                    ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
                }
            };
        if radius_m == 0.0 {
            return STEPS;
        }
        let (mut steps, mut doubled_m) = (1, radius_m);
        while doubled_m < MERCATOR_MAX_M {
            doubled_m *= 2.0;
            steps += 1;
        }
        // Cells get narrower towards the poles.
        let latitude = self.center.latitude.abs();
        let narrower = i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        (steps - 2 - narrower).clamp(1, STEPS as i32) as u32
    }
}

/// How far an area reaches from its centre, in degrees.
struct Reach {
    /// North and south.
    latitude: f64,
    /// East and west.
    longitude: f64,
}

impl Reach {
    fn of(area: &Area) -> Reach {
        let center = radians(area.center.latitude);
        let (width_m, height_m) = match area.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
        };
        let (width_m, height_m) = (area.unit_m * width_m, area.unit_m * height_m);
        let latitude = degrees(height_m / EARTH_RADIUS_M);
        // Parallels are shortest at the end that is nearer to its pole.
        let farthest = area.center.latitude.abs() + latitude;
        let as_redis = degrees(width_m / EARTH_RADIUS_M / radians(farthest).cos());
        let exact = match area.shape {
            Shape::Circle { .. } if farthest >= 90.0 => LONGITUDE_MAX,
            Shape::Circle { .. } => {
                degrees(((width_m / EARTH_RADIUS_M).sin() / center.cos()).asin())
            }
            Shape::Rectangle { .. } => {
                let half = (width_m / EARTH_RADIUS_M / 2.0).min(std::f64::consts::FRAC_PI_2);
                let shortest = radians(farthest.min(LATITUDE_MAX)).cos();
                degrees(2.0 * (half.sin() / shortest).min(1.0).asin())
            }
        };
        Reach {
            latitude,
            longitude: as_redis.max(exact),
        }
    }
}

/// A cell: one of 2^steps by 2^steps parts of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    x: u32,
    y: u32,
    steps: u32,
}

impl Cell {
    /// The scores of the points in it.
    pub fn scores(self) -> Range<u64> {
        let shift = 2 * (STEPS - self.steps);
        self.bits() << shift..(self.bits() + 1) << shift
    }

    pub(super) fn around(point: Point, steps: u32) -> Cell {
        Cell {
            x: nth_part(point.longitude, LONGITUDE_MAX, steps),
            y: nth_part(point.latitude, LATITUDE_MAX, steps),
            steps,
        }
    }

    pub(super) fn of_bits(bits: u64, steps: u32) -> Cell {
        Cell {
            x: gather(bits >> 1),
            y: gather(bits),
            steps,
        }
    }

    pub(super) fn bits(self) -> u64 {
        interleave(self.x, self.y)
    }

    /// The middle of it, moved onto the map should it lie beyond.
    pub(super) fn centre(self) -> Point {
        let middle =
            |bounds: Range<f64>, max: f64| ((bounds.start + bounds.end) / 2.0).clamp(-max, max);
        Point {
            longitude: middle(self.longitudes(), LONGITUDE_MAX),
            latitude: middle(self.latitudes(), LATITUDE_MAX),
        }
    }

    fn longitudes(self) -> Range<f64> {
        let begin = |x| part_begin(x, LONGITUDE_MAX, self.steps);
        begin(self.x)..begin(self.x.wrapping_add(1))
    }

    fn latitudes(self) -> Range<f64> {
        let begin = |y| part_begin(y, LATITUDE_MAX, self.steps);
        begin(self.y)..begin(self.y.wrapping_add(1))
    }

    /// The cell so many to the east and to the north, around the map if need be.
    fn neighbour(self, east: i8, north: i8) -> Cell {
        let moved = |part: u32, by: i8| match by {
            // A point at the very end of the map is in a part of its own there, which stays as it is.
            0 => part,
            _ => part.wrapping_add_signed(by.into()) & ((1 << self.steps) - 1),
        };
        Cell {
            x: moved(self.x, east),
            y: moved(self.y, north),
            ..self
        }
    }

    /// Whether the outer edges of the neighbours, as numbers on the map, lie within the area's bounds.
    /// That they always do so at the edge of the map is how Redis has it.
    fn is_too_near_an_edge(self, center: Point, reach: &Reach) -> bool {
        self.neighbour(0, 1).latitudes().end < center.latitude + reach.latitude
            || self.neighbour(0, -1).latitudes().start > center.latitude - reach.latitude
            || self.neighbour(1, 0).longitudes().end < center.longitude + reach.longitude
            || self.neighbour(-1, 0).longitudes().start > center.longitude - reach.longitude
    }

    /// Whether this cell around the centre and its neighbours cover the area, as far as there is a map.
    fn and_neighbours_cover(self, center: Point, reach: &Reach) -> bool {
        let parts = (1u64 << self.steps) as f64;
        let (width, height) = (2.0 * LONGITUDE_MAX / parts, 2.0 * LATITUDE_MAX / parts);
        let (longitudes, latitudes) = (self.longitudes(), self.latitudes());
        let north = (center.latitude + reach.latitude).min(LATITUDE_MAX);
        let south = (center.latitude - reach.latitude).max(-LATITUDE_MAX);
        latitudes.end + height >= north
            && latitudes.start - height <= south
            && (longitudes.end + width >= center.longitude + reach.longitude
                && longitudes.start - width <= center.longitude - reach.longitude)
    }

    /// The sides on which the area ends within this cell.
    fn useless_neighbours(self, center: Point, reach: &Reach) -> Excluded {
        let (longitudes, latitudes) = (self.longitudes(), self.latitudes());
        Excluded {
            east: longitudes.end > center.longitude + reach.longitude,
            west: longitudes.start < center.longitude - reach.longitude,
            north: latitudes.end > center.latitude + reach.latitude,
            south: latitudes.start < center.latitude - reach.latitude,
        }
    }
}

/// Sides that the area does not reach.
#[derive(Clone, Copy, Default)]
struct Excluded {
    east: bool,
    west: bool,
    north: bool,
    south: bool,
}

impl Excluded {
    fn has(self, (east, north): (i8, i8)) -> bool {
        self.east && east > 0
            || self.west && east < 0
            || self.north && north > 0
            || self.south && north < 0
    }
}
