//! The sizes that slots come in.

use super::header::SLAB;

/// The largest size that is served from slabs, in bytes.
pub const CLASS_MAX: usize = 1024;

/// The slot sizes. Up to 128 they are two bytes apart. Above they grow by about 3 %, to sizes that divide the
/// slab with the least left over.
pub(super) const SIZES: [u16; CLASSES] = {
    let mut sizes = [0; CLASSES];
    let (mut class, mut size) = (0, 0);
    while class < CLASSES {
        size = size_after(size);
        sizes[class] = size as u16;
        class += 1;
    }
    sizes
};

pub(super) const CLASSES: usize = {
    let (mut classes, mut size) = (0, 0);
    while size < CLASS_MAX {
        size = size_after(size);
        classes += 1;
    }
    classes
};

/// The class of every size.
static CLASS_OF: [u8; CLASS_MAX + 1] = {
    let mut class_of = [0; CLASS_MAX + 1];
    let (mut size, mut class) = (1, 0);
    while size <= CLASS_MAX {
        if size > SIZES[class] as usize {
            class += 1;
        }
        class_of[size] = class as u8;
        size += 1;
    }
    class_of
};

const _: () = {
    assert!(CLASSES <= u8::MAX as usize);
    assert!(SIZES[CLASSES - 1] as usize == CLASS_MAX);
};

const fn size_after(size: usize) -> usize {
    if size < 128 {
        return size + 2;
    }
    let mut slots = SLAB.div_ceil(size + size * 3 / 100);
    while (SLAB / slots) & !1 <= size {
        slots -= 1;
    }
    (SLAB / slots) & !1
}

#[inline]
pub(super) const fn class_of(size: usize) -> usize {
    CLASS_OF[size] as usize
}
