//! `hewctl members`, `names` and `info`: what one node of a cluster says.

use crate::cli::ClientOptions;
use crate::client::{Client, with_client};
use crate::failure::Failure;
use crate::{moment, output};
use hew_node::{MemberInfo, NAMES_PER_ANSWER_MAX, NameInfo, NodeInfo, NodeRequest};
use serde_json::json;

/// Shows the members of a cluster.
pub(crate) fn members(options: &ClientOptions) -> Result<(), Failure> {
    let members: Vec<MemberInfo> =
        with_client(options, async |client| client.request(NodeRequest::Members).await)?;
    if options.json {
        output::json(&members);
        return Ok(());
    }
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let row = |member: &MemberInfo| {
        let address = member.address.clone().unwrap_or_else(|| "-".into());
        let since = moment::from_unix_ms(member.incarnation);
        [member.node.to_string(), member.state.clone(), address, yes_or_no(member.connected), since]
            .map(clean)
    };
    let rows: Vec<_> = members.iter().map(row).collect();
    output::line(output::table(["node", "state", "address", "connected", "started"], &rows));
    Ok(())
}

/// Shows all names.
pub(crate) fn names(options: &ClientOptions) -> Result<(), Failure> {
    let names = with_client(options, all_names)?;
    if options.json {
        let object = |info: &NameInfo| json!({ "name": info.name, "pid": info.pid.to_string(), "node": info.pid.node() });
        output::json(&names.iter().map(object).collect::<Vec<_>>());
        return Ok(());
    }
    let row =
        |info: &NameInfo| [info.name.clone(), info.pid.to_string(), info.pid.node().to_string()].map(clean);
    let rows: Vec<_> = names.iter().map(row).collect();
    output::line(output::table(["name", "pid", "node"], &rows));
    Ok(())
}

async fn all_names(client: &Client) -> Result<Vec<NameInfo>, Failure> {
    let mut names: Vec<NameInfo> = Vec::new();
    loop {
        let after = names.last().map(|info| info.name.clone()).unwrap_or_default();
        let more = client.request(|reply| NodeRequest::Names { after: after.clone(), reply }).await?;
        // Names come in their order; an answer that does not go on would be asked for without end.
        let (is_last, goes_on) =
            (more.len() < NAMES_PER_ANSWER_MAX, more.iter().all(|info| info.name > after));
        if !goes_on {
            return Err(Failure::failed(format_args!("node {} gives names out of order", client.server)));
        }
        names.extend(more);
        if is_last {
            return Ok(names);
        }
    }
}

/// Shows what a node says of itself.
pub(crate) fn info(options: &ClientOptions) -> Result<(), Failure> {
    let info: NodeInfo = with_client(options, async |client| client.request(NodeRequest::Info).await)?;
    if options.json {
        output::json(&info);
        return Ok(());
    }
    let name = info.name.map_or_else(|| "-".into(), clean);
    output::line(format_args!("node     {}", info.node));
    output::line(format_args!("name     {name}"));
    output::line(format_args!("cluster  {}", clean(info.cluster)));
    output::line(format_args!("started  {}", moment::from_unix_ms(info.incarnation)));
    output::line(format_args!("version  {}", clean(info.version)));
    output::line(format_args!("actors   {}", info.actors));
    Ok(())
}

/// Text from a node, without characters that could move a terminal's cursor.
fn clean(text: String) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text }
}
