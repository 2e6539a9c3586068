//! Who is not let in, who is not there, and that neither disturbs those who are.

use crate::process::run;
use crate::scene::{Scene, check_failure};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_strict_cluster_refuses_by_name_and_goes_on() {
    let scene = Scene::new();
    let (mut first, address) = scene.node(1, &["--actor", "counter=visits"]);
    let (mut second, _) = scene.node(2, &["--join", &address]);
    second.event("joined");
    let stranger = scene.fingerprint("stranger.key");
    let connect = ["--connect", address.as_str(), "--allow", "allow"];
    let client = |more: &[&'static str]| [&["members"], more, &connect].concat();

    // Clients: a key that is not listed, none at all, a node id that is taken, another cluster.
    let unknown = "the key is not on the allowlist";
    scene.refused(4, &[&stranger, "client 65", unknown], &client(&["--key", "stranger.key"]));
    scene.refused(4, &["made for this run only", unknown], &client(&[]));
    let taken = ["--key", "operator.key", "--id", "1"];
    scene.refused(4, &["client 1", "node_id_conflict"], &client(&taken));
    let pinned = ["--key", "operator.key", "--id", "2"];
    scene.refused(4, &["client 2", "the node id is pinned to another key"], &client(&pinned));
    let other = ["--key", "operator.key", "--cluster", "other"];
    scene.refused(4, &["cluster_mismatch"], &client(&other));
    // A node that this client does not trust.
    std::fs::write(scene.path().join("nobody"), "# none\n").unwrap();
    let first_key = scene.fingerprint("1.key");
    let mistrust = ["members", "--connect", &address, "--key", "operator.key", "--allow", "nobody"];
    scene.refused(4, &["node 1", &first_key, unknown], &mistrust);

    // Nodes: a key that is not listed, a node id with another key, and one whose node runs already.
    let node = |id, key| ["node", "--allow", "allow", "--join", address.as_str(), "--id", id, "--key", key];
    scene.refused(4, &["node 3", &stranger, "cannot join", unknown], &node("3", "stranger.key"));
    scene.refused(4, &["node 2", "the node id is pinned to another key"], &node("2", "operator.key"));
    scene.refused(4, &["node 3", "the key is pinned to another node id"], &node("3", "2.key"));
    let twin = ["node 2", "node_id_conflict", "is running already, and answers"];
    scene.refused(4, &twin, &node("2", "2.key"));

    // The refusing node said whom it refused, and everything still works.
    first.until("a refusal", |line| (line.contains(&stranger) && line.contains(unknown)).then_some(()));
    assert_eq!(scene.operator(&address, &["ask", "visits", "1"]).stdout, "0");
    let members = scene.operator(&address, &["members", "--json"]).json();
    assert_eq!(members.as_array().unwrap().len(), 2, "{members}");
    assert!(members.as_array().unwrap().iter().all(|member| member["state"] == "alive"), "{members}");
}

#[test]
fn an_open_cluster_refuses_a_second_key_for_a_node_id() {
    let scene = Scene::new();
    let (_first, address) = scene.ready(&["node", "--json", "--id", "1", "--key", "1.key", "--open"]);
    let second = ["node", "--json", "--id", "2", "--key", "2.key", "--open", "--join", &address];
    let (mut second, _) = scene.ready(&second);
    second.event("joined");
    let imposter = ["node", "--id", "2", "--key", "stranger.key", "--open", "--join", &address];
    let fingerprint = scene.fingerprint("stranger.key");
    scene.refused(4, &["node 2", &fingerprint, "the node id is pinned to another key"], &imposter);
}

#[test]
fn nobody_at_the_address_is_told_from_a_refusal() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let members =
        |more: &[&str]| run(scene.path(), &[&["members", "--open", "--connect", &address], more].concat());

    // Somebody who takes the connection and says nothing: the kernel accepts for a listener that does not.
    let silent = members(&["--timeout", "0.4"]);
    check_failure(&silent, 124, &[&address, "--timeout"]);

    // Somebody who speaks something else.
    let speaking = std::thread::spawn(move || {
        // The first connection is the one from before.
        for connection in listener.incoming().take(2) {
            let mut connection = connection.unwrap();
            let _ = connection
                .write_all(&[b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), &[b'x'; 200]].concat());
            let _ = connection.read_to_end(&mut Vec::new());
        }
    });
    let strange = members(&[]);
    assert!(matches!(strange.code, Some(1 | 3)), "{strange:?}");
    assert!(strange.stderr.contains(&address), "{strange:?}");
    speaking.join().unwrap();

    // Nobody.
    check_failure(&members(&[]), 3, &[&address, "nobody listens there"]);
}

#[test]
fn a_changed_allowlist_holds_without_a_restart() {
    let scene = Scene::new();
    let (_node, address) = scene.node(1, &[]);
    let all = std::fs::read_to_string(scene.path().join("allow")).unwrap();
    let replace = |text: &str| {
        std::fs::write(scene.path().join("fresh"), text).unwrap();
        std::fs::rename(scene.path().join("fresh"), scene.path().join("allow")).unwrap();
    };
    // A node looks at its file four times a second; a run of the program takes some milliseconds.
    let becomes = |code: i32, words: &str| {
        let began = std::time::Instant::now();
        loop {
            let ended = scene.operator(&address, &["members"]);
            if ended.code == Some(code) && ended.stderr.contains(words) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{ended:#?}");
        }
    };
    becomes(0, "");
    let others: String =
        all.lines().filter(|line| !line.starts_with('*')).map(|line| format!("{line}\n")).collect();
    replace(&others);
    becomes(4, "the key is not on the allowlist");
    // Back again, and not allowed to look anything up.
    let restricted: String = all
        .lines()
        .map(|line| if line.starts_with('*') { format!("{line} may=send\n") } else { format!("{line}\n") })
        .collect();
    replace(&restricted);
    becomes(4, "node 1: not allowed");
    replace(&all);
    becomes(0, "");
}
