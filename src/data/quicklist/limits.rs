//! How much a node of a quicklist holds, by the settings and rules that Redis has for it.

/// `list-max-listpack-size`: what a listpack of list elements stays within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill(i32);

impl Fill {
    /// From the setting: so many elements, and 8 KiB; or from -1 to -5 for 4, 8, 16, 32 and 64 KiB. Values
    /// beyond what makes sense count as the last that does.
    pub fn new(setting: i64) -> Fill {
        Fill(setting.clamp(-(SIZES.len() as i64), COUNT_MAX) as i32)
    }

    /// Whether a listpack of so many bytes and elements is within it. For a listpack that is to grow, the
    /// texts' bare lengths are added to its bytes.
    pub fn fits(self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes_max() && count <= self.count_max()
    }

    /// Whether a list in one node of so many bytes and elements is to become a listpack. One that shrinks
    /// does so at half the limit, lest it change its form all the time.
    ///
    /// A limit in elements does not look at the bytes.
    pub fn fits_listpack(self, bytes: usize, count: usize, shrinking: bool) -> bool {
        let share = if shrinking { 2 } else { 1 };
        if self.0 < 0 {
            bytes <= self.bytes_max() / share
        } else {
            count <= self.count_max() / share
        }
    }

    fn bytes_max(self) -> usize {
        if self.0 < 0 {
            SIZES[self.0.unsigned_abs() as usize - 1]
        } else {
            BYTES_MAX_BY_COUNT
        }
    }

    fn count_max(self) -> usize {
        if self.0 < 0 {
            usize::MAX
        } else {
            self.0.max(1) as usize
        }
    }
}

/// How a list arranges its elements; what a list was made with stays with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `list-max-listpack-size`.
    pub fill: Fill,
    /// `list-compress-depth`: how many nodes at each end stay as they are while those between are
    /// compressed; 0 if none are.
    pub compress_depth: usize,
    /// The length from which on an element has a node of its own; 0 for longer than the fill's bytes.
    /// For DEBUG QUICKLIST-PACKED-THRESHOLD.
    pub packed_threshold: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            fill: Fill::new(-2),
            compress_depth: 0,
            packed_threshold: 0,
        }
    }
}

/// Options, ready to be asked at every push.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    bytes_max: usize,
    count_max: usize,
    /// From which length on an element is plain.
    large_min: usize,
}

impl Limits {
    pub(super) fn new(options: &Options) -> Self {
        let bytes_max = options.fill.bytes_max();
        Limits {
            bytes_max,
            count_max: options.fill.count_max(),
            large_min: match options.packed_threshold {
                0 => bytes_max + 1,
                threshold => threshold,
            },
        }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether an element of this length has a node of its own.
    #[inline]
    pub(super) fn is_large(&self, text_len: usize) -> bool {
        text_len >= self.large_min
    }

    /// Whether a listpack of so many bytes and elements takes in one more of this length.
    #[inline]
    pub(super) fn accept(&self, bytes: usize, count: usize, text_len: usize) -> bool {
        !self.is_large(text_len)
            && count < self.count_max
            && bytes + text_len + ELEMENT_HEAD_ESTIMATE <= self.bytes_max
    }

    /// Whether a listpack may have so many bytes and elements.
    pub(super) fn fit(&self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes_max && count <= self.count_max
    }
}

/// The limits from -1 to -5.
const SIZES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// What a limit in elements allows in bytes.
const BYTES_MAX_BY_COUNT: usize = 8 << 10;
const COUNT_MAX: i64 = (1 << 15) - 1;
/// What an element is thought to take beside its text: the most it can below the greatest size.
const ELEMENT_HEAD_ESTIMATE: usize = 8;
