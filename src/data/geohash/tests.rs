//! Points and searches: that nothing is missed, and that replies are what redis-server answers.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn point(longitude: f64, latitude: f64) -> Point {
    Point::new(longitude, latitude).unwrap()
}

fn text(point: Point) -> String {
    let (mut longitude, mut latitude) = ([0; TEXT_MAX], [0; TEXT_MAX]);
    let longitude = format_coordinate(&mut longitude, point.longitude());
    let latitude = format_coordinate(&mut latitude, point.latitude());
    String::from_utf8([longitude, b" ", latitude].concat()).unwrap()
}

/// Points anywhere, but not at the upper ends of the map: searches in Redis miss those.
fn any_point() -> impl Strategy<Value = Point> {
    let near = |at: f64, max: f64| (at - 0.5).max(-max)..(at + 0.5).min(max);
    let longitude = prop_oneof![
        2 => -180.0..180.0,
        1 => near(180.0, 180.0),
        1 => near(-180.0, 180.0),
        1 => near(0.0, 180.0),
    ];
    let latitude = prop_oneof![
        3 => -LATITUDE_MAX..LATITUDE_MAX,
        1 => near(LATITUDE_MAX, LATITUDE_MAX),
        1 => near(-LATITUDE_MAX, LATITUDE_MAX),
        1 => near(0.0, LATITUDE_MAX),
    ];
    (longitude, latitude).prop_map(|(longitude, latitude)| point(longitude, latitude))
}

/// From centimetres to more than all of Earth.
fn any_length() -> impl Strategy<Value = f64> {
    prop_oneof![8 => (-2.0..7.6f64).prop_map(|exponent| 10f64.powf(exponent)), 1 => Just(0.0)]
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        any_length().prop_map(|radius| Shape::Circle { radius }),
        (any_length(), any_length()).prop_map(|(width, height)| Shape::Rectangle { width, height }),
    ]
}

fn any_area() -> impl Strategy<Value = Area> {
    (
        any_point(),
        any_shape(),
        prop_oneof![Just(1.0), Just(1000.0), Just(0.3048)],
    )
        .prop_map(|(center, shape, unit_m)| Area {
            center,
            shape,
            unit_m,
        })
}

fn finds(area: &Area, point: Point) -> bool {
    area.cells()
        .any(|cell| cell.scores().contains(&point.score()))
}

proptest! {
    #[test]
    fn a_score_stands_for_a_point_nearby(point in any_point()) {
        let score = point.score();
        prop_assert!(score < 1 << 52);
        let decoded = Point::of_score(score as f64);
        prop_assert!((decoded.longitude() - point.longitude()).abs() <= 180.0 / (1u64 << 26) as f64 * 1.001);
        prop_assert!((decoded.latitude() - point.latitude()).abs() <= 90.0 / (1u64 << 26) as f64 * 1.001);
        prop_assert_eq!(decoded.score(), score);
    }

    #[test]
    fn any_score_stands_for_some_point(score in prop_oneof![any::<f64>(), -1e17..1e17f64]) {
        let decoded = Point::of_score(score);
        prop_assert!(Point::new(decoded.longitude(), decoded.latitude()).is_some());
        prop_assert_eq!(decoded.geohash().len(), 11);
    }

    #[test]
    fn bits_go_together_and_apart(x: u32, y: u32) {
        let bits = interleave(x, y);
        prop_assert_eq!((gather(bits >> 1), gather(bits)), (x, y));
        let naive = (0..32).fold(0u64, |all, bit| {
            all | u64::from(x >> bit & 1) << (2 * bit + 1) | u64::from(y >> bit & 1) << (2 * bit)
        });
        prop_assert_eq!(bits, naive);
    }

    #[test]
    fn searches_miss_nothing(area in any_area(), others in vec(any_point(), 20), near in vec((-1.5..1.5f64, -1.5..1.5f64), 60)) {
        // Points around the edge of the area, and anywhere.
        let (width, height) = match area.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
        };
        let degrees_north = height * area.unit_m / 111_226.0;
        let degrees_east = width * area.unit_m / 111_226.0 / radians(area.center.latitude()).cos();
        let near = near.into_iter().map(|(east, north)| {
            let longitude = area.center.longitude() + (east * degrees_east).clamp(-180.0, 180.0);
            let around = (longitude + 540.0) % 360.0 - 180.0;
            let latitude = (area.center.latitude() + north * degrees_north).clamp(-85.05, 85.05);
            point(around, latitude)
        });
        for candidate in others.into_iter().chain(near) {
            let stored = Point::of_score(candidate.score() as f64);
            if area.distance_if_inside_m(stored).is_some() {
                prop_assert!(finds(&area, stored), "{area:?} misses {stored:?}");
            }
        }
        prop_assert!(finds(&area, area.center));
    }

    #[test]
    fn no_cell_is_searched_twice(area in any_area()) {
        let mut ranges: Vec<_> = area.cells().map(Cell::scores).collect();
        prop_assert!((1..=9).contains(&ranges.len()));
        ranges.sort_by_key(|range| range.start);
        prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{ranges:?}");
    }
}

/// The examples of the commands' documentation.
#[test]
fn sicily() {
    let check = |at: Point, score: u64, geohash: &[u8], stored: &str| {
        assert_eq!(at.score(), score);
        let decoded = Point::of_score(score as f64);
        assert_eq!(decoded.geohash(), geohash);
        assert_eq!(text(decoded), stored);
        decoded
    };
    let palermo = check(
        point(13.361389, 38.115556),
        3_479_099_956_230_698,
        b"sqc8b49rny0",
        "13.36138933897018433 38.11555639549629859",
    );
    let catania = check(
        point(15.087269, 37.502669),
        3_479_447_370_796_909,
        b"sqdtr74hyu0",
        "15.08726745843887329 37.50266842333162032",
    );
    let mut buffer = [0; TEXT_MAX];
    let distance = palermo.distance_m(catania);
    assert_eq!(format_distance(&mut buffer, distance), b"166274.1516");
    assert_eq!(format_distance(&mut buffer, distance / 1000.0), b"166.2742");
    let within = |shape, at| {
        let area = Area {
            center: point(15.0, 37.0),
            shape,
            unit_m: 1000.0,
        };
        area.distance_if_inside_m(at).map(|m| (m / 100.0).round())
    };
    let circle = Shape::Circle { radius: 100.0 };
    let rectangle = Shape::Rectangle {
        width: 400.0,
        height: 400.0,
    };
    assert_eq!(within(circle, palermo), None);
    assert_eq!(within(circle, catania), Some(564.0));
    assert_eq!(within(rectangle, palermo), Some(1904.0));
}

#[test]
fn the_ends_of_the_map() {
    assert!(Point::new(180.0, LATITUDE_MAX).is_some());
    assert!(Point::new(-180.0, -LATITUDE_MAX).is_some());
    for (longitude, latitude) in [
        (180.001, 0.0),
        (0.0, 85.0512),
        (f64::NAN, 0.0),
        (0.0, f64::NAN),
    ] {
        assert!(Point::new(longitude, latitude).is_none());
    }
    assert_eq!(point(-180.0, -LATITUDE_MAX).score(), 0);
    let end = point(180.0, LATITUDE_MAX);
    assert_eq!(end.score(), 0b11 << 52);
    assert_eq!(Point::of_score(end.score() as f64), end);
    assert_eq!(Point::of_score(-1.0), end);
}

#[test]
fn texts() {
    let mut buffer = [0; TEXT_MAX];
    let mut distance = |value, expected: &str| {
        assert_eq!(format_distance(&mut buffer, value), expected.as_bytes())
    };
    distance(0.0, "0.0000");
    distance(0.00004, "0.0000");
    distance(0.775, "0.7750");
    distance(12.34567, "12.3457");
    distance(20_020_741.5, "20020741.5000");
    let mut coordinate = |value, expected: &str| {
        assert_eq!(format_coordinate(&mut buffer, value), expected.as_bytes())
    };
    coordinate(0.0, "0");
    coordinate(-0.0, "0");
    coordinate(-1e-20, "0");
    coordinate(180.0, "180");
    coordinate(-0.5, "-0.5");
    coordinate(-85.05112878, "-85.0511287799999991");
}

/// Redis 7.0 finds three of these six: a parallel beyond the pole has a negative length in its formula.
#[test]
fn an_area_that_touches_the_pole() {
    let area = Area {
        center: point(-0.309, -84.618),
        shape: Shape::Circle { radius: 613.6 },
        unit_m: 1000.0,
    };
    for longitude in [-60.0, -40.0, -20.0, 20.0, 40.0, 60.0] {
        let other = point(longitude, -85.0);
        assert!(area.distance_if_inside_m(other).is_some());
        assert!(finds(&area, other), "{longitude}");
    }
}
