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
