//! What the HELP of a container says, in the form that redis-cli users know.

use crate::resp::reply::Reply;

/// Replies with the subcommands of `container`: their arguments, and what they do. HELP itself is
/// added.
pub fn reply(reply: &mut Reply, container: &str, subcommands: &[(&str, &str)]) {
    let lines: usize = subcommands
        .iter()
        .map(|(_, text)| 1 + text.lines().count())
        .sum();
    reply.array(1 + lines + 2);
    reply.simple(&format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for (usage, text) in subcommands.iter().chain(&[("HELP", "Print this help.")]) {
        reply.simple(usage);
        for line in text.lines() {
            reply.simple(&format!("    {line}"));
        }
    }
}
