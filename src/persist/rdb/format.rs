//! The format's numbers: versions, opcodes, types of values.

/// The version of the format to write, as `rdb-version` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// The lowest one that can hold the data, but not below 10.
    #[default]
    Auto,
    /// That of Redis 5 and 6.
    V9,
    /// That of Redis 7.0.
    V10,
    /// That of Redis 7.2 and Valkey 8.
    V11,
    /// That of Redis 7.4.
    V12,
    /// That of Valkey 9.
    Valkey80,
}

impl Version {
    /// All versions.
    pub const ALL: [Version; 6] = [
        Version::Auto,
        Version::V9,
        Version::V10,
        Version::V11,
        Version::V12,
        Version::Valkey80,
    ];

    /// The version of a name of the setting.
    pub fn from_name(name: &str) -> Option<Version> {
        let named = |version: &Version| version.name() == name;
        Version::ALL.into_iter().find(named)
    }

    /// The name that the setting has for it.
    pub fn name(self) -> &'static str {
        match self {
            Version::Auto => "auto",
            Version::V9 => "9",
            Version::V10 => "10",
            Version::V11 => "11",
            Version::V12 => "12",
            Version::Valkey80 => "80",
        }
    }
}

impl Version {
    /// The number that files and payloads of the version bear.
    pub fn number(self) -> u16 {
        match self {
            Version::V9 => 9,
            Version::Auto | Version::V10 => 10,
            Version::V11 => 11,
            Version::V12 => 12,
            Version::Valkey80 => 80,
        }
    }

    /// What a snapshot begins with.
    pub fn magic(self) -> &'static [u8; MAGIC_LEN] {
        match self {
            Version::V9 => b"REDIS0009",
            Version::Auto | Version::V10 => b"REDIS0010",
            Version::V11 => b"REDIS0011",
            Version::V12 => b"REDIS0012",
            Version::Valkey80 => b"VALKEY080",
        }
    }

    /// Whether the version has fields of hashes that expire.
    pub fn has_field_expiry(self) -> bool {
        matches!(self, Version::V12 | Version::Valkey80)
    }

    /// Whether the version has the listpacks that Redis 7.0 brought.
    pub fn has_listpacks(self) -> bool {
        self.number() >= 10
    }

    /// Whether the version has sets as listpacks, and when consumers were last active.
    pub fn has_set_listpacks(self) -> bool {
        self.number() >= 11
    }
}

/// The bytes of name and version that a snapshot begins with.
pub const MAGIC_LEN: usize = 9;

/// Whether a file is a snapshot, or begins with one, by its first [`MAGIC_LEN`] bytes.
pub fn is_snapshot(start: &[u8]) -> bool {
    start.starts_with(b"REDIS") || start.starts_with(b"VALKEY")
}

/// Whether files and payloads of a version are read.
pub fn is_known(version: u32) -> bool {
    matches!(version, 1..=12 | VALKEY_VERSION)
}

/// Whether a version is read: a known one, or any if that was asked for (`rdb-version-check relaxed`).
pub fn is_accepted(version: u32, any: bool) -> bool {
    is_known(version) || any && version > 0
}

/// The version that is Valkey's own, whose types from 22 on are not those of Redis.
pub const VALKEY_VERSION: u32 = 80;

/// First bytes of lengths and strings. Below 0x40 they are a length themselves, below 0x80 with six bits
/// of a length of 14.
pub mod length {
    /// A length of four bytes follows, the highest first.
    pub const BYTES_4: u8 = 0x80;
    /// A length of eight bytes follows, the highest first.
    pub const BYTES_8: u8 = 0x81;
    /// From here on it is not a length but says how a string is stored.
    pub const SPECIAL: u8 = 0xc0;
    /// An integer of one byte.
    pub const INT_8: u8 = 0xc0;
    /// An integer of two bytes, the lowest first, as in the next.
    pub const INT_16: u8 = 0xc1;
    /// An integer of four bytes.
    pub const INT_32: u8 = 0xc2;
    /// Compressed and own length, then the compressed bytes.
    pub const LZF: u8 = 0xc3;
}

/// What stands in a snapshot beside values.
pub mod opcode {
    /// A slot's keys are being imported (Valkey 9): the job's name, ranges of slots.
    pub const SLOT_IMPORT: u8 = 243;
    /// How many keys a slot of a cluster has: slot, keys, keys that expire.
    pub const SLOT_INFO: u8 = 244;
    /// A library of functions: its source.
    pub const FUNCTION: u8 = 245;
    /// A library in the form of the candidates of Redis 7.0.
    pub const FUNCTION_PRE_GA: u8 = 246;
    /// What a module keeps beside its keys.
    pub const MODULE_AUX: u8 = 247;
    /// For how many seconds the next key was not used.
    pub const IDLE: u8 = 248;
    /// How often the next key is used, one byte.
    pub const FREQUENCY: u8 = 249;
    /// A name and a value.
    pub const AUX: u8 = 250;
    /// How many keys the database has, and how many of them expire.
    pub const RESIZE: u8 = 251;
    /// When the next key expires, in milliseconds.
    pub const EXPIRY_MS: u8 = 252;
    /// The same in seconds, of four bytes.
    pub const EXPIRY_S: u8 = 253;
    /// The database of the keys from here on.
    pub const SELECT: u8 = 254;
    /// The end, but for the checksum.
    pub const END: u8 = 255;
}

/// Types of values, by the form that they are stored in.
pub mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// Elements.
    pub const LIST: u8 = 1;
    /// Members.
    pub const SET: u8 = 2;
    /// Members with their scores as text.
    pub const ZSET: u8 = 3;
    /// Fields and values.
    pub const HASH: u8 = 4;
    /// Members with their scores as 8 bytes.
    pub const ZSET_2: u8 = 5;
    /// A module's value, as a candidate of Redis 4.0 wrote it.
    pub const MODULE_PRE_GA: u8 = 6;
    /// A module's value.
    pub const MODULE_2: u8 = 7;
    /// A hash in a zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list in a ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set in an intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set in a ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A hash in a ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list in several ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// A stream.
    pub const STREAM: u8 = 15;
    /// A hash in a listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set in a listpack.
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list in several listpacks and single elements.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream that says what was added to it and deleted from it.
    pub const STREAM_2: u8 = 19;
    /// A set in a listpack.
    pub const SET_LISTPACK: u8 = 20;
    /// A stream whose consumers say when they were active.
    pub const STREAM_3: u8 = 21;
    /// A hash whose fields expire, in a candidate of Redis 7.4.
    pub const HASH_EXPIRING_PRE_GA: u8 = 22;
    /// The same in a listpack.
    pub const HASH_LISTPACK_EXPIRING_PRE_GA: u8 = 23;
    /// A hash whose fields expire: the first time, then for each field its time as the difference to it.
    pub const HASH_EXPIRING: u8 = 24;
    /// The same in a listpack of field, value, and time.
    pub const HASH_LISTPACK_EXPIRING: u8 = 25;
    /// Valkey's hash whose fields expire: each with its time, -1 for none.
    pub const HASH_2_OF_VALKEY: u8 = 22;
}

/// How a node of a list is stored.
pub mod container {
    /// One element alone.
    pub const PLAIN: u64 = 1;
    /// A listpack.
    pub const PACKED: u64 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names() {
        for version in Version::ALL {
            assert_eq!(Version::from_name(version.name()), Some(version));
            assert!(is_known(u32::from(version.number())));
            let magic = std::str::from_utf8(version.magic()).expect("text");
            assert!(magic.ends_with(&version.number().to_string()));
        }
        assert_eq!(Version::from_name("8"), None);
    }
}
