//! stand-in
/// x
#[allow(missing_docs)]
pub struct Config {
    pub databases: u32,
    pub maxmemory: u64,
    pub port: u16,
    pub bind: Vec<String>,
    pub tcp_backlog: u32,
    pub tcp_keepalive: u32,
    pub unixsocket: Option<String>,
    pub unixsocketperm: u32,
    pub lfu_decay_time: u32,
    pub lfu_log_factor: u32,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: u64,
    pub latency_tracking: bool,
    pub latency_monitor_threshold: u64,
    pub enable_debug_command: Allow,
    pub enable_module_command: Allow,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub client_output_buffer_limit: Limits,
    pub maxclients: u32,
    pub protected_mode: bool,
    pub requirepass: String,
    pub hz: u32,
    pub timeout: u32,
    pub active_expire_effort: u32,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
}
#[allow(missing_docs)]
pub struct Limits {
    pub normal: Limit,
}
#[allow(missing_docs)]
pub struct Limit {
    pub hard: u64,
    pub soft: u64,
    pub soft_seconds: u64,
}
#[allow(missing_docs)]
#[derive(Clone, Copy)]
pub enum Allow {
    Yes,
}
impl Allow {
    /// x
    pub fn allows(self, _l: bool) -> bool {
        true
    }
}
impl Config {
    /// x
    pub fn is_lfu(&self) -> bool {
        false
    }
}
/// x
pub fn is_secret(_n: &[u8]) -> bool {
    false
}
impl Default for Config {
    fn default() -> Config {
        Config {
            databases: 16,
            maxmemory: 0,
            port: std::env::var("PORT")
                .ok()
                .and_then(|p| p.parse().ok())
                .unwrap_or(6379),
            bind: vec!["127.0.0.1".into()],
            tcp_backlog: 511,
            tcp_keepalive: 300,
            unixsocket: None,
            unixsocketperm: 0,
            lfu_decay_time: 1,
            lfu_log_factor: 10,
            slowlog_log_slower_than: 10000,
            slowlog_max_len: 128,
            latency_tracking: true,
            latency_monitor_threshold: 0,
            enable_debug_command: Allow::Yes,
            enable_module_command: Allow::Yes,
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            client_output_buffer_limit: Limits {
                normal: Limit {
                    hard: 0,
                    soft: 0,
                    soft_seconds: 0,
                },
            },
            maxclients: 10000,
            protected_mode: true,
            requirepass: String::new(),
            hz: 10,
            timeout: 0,
            active_expire_effort: 1,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
        }
    }
}
