//! Keys, allowlists, configuration files and addresses that are wrong, each told by name.

use crate::process::run;
use crate::scene::Scene;
use std::fs::{Permissions, metadata, read_to_string, set_permissions, write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_key_file_belongs_to_its_owner_alone_and_is_not_lost_by_accident() {
    let directory = tempfile::tempdir().unwrap();
    let keygen = |more: &[&str]| run(directory.path(), &[&["keygen", "own.key"], more].concat());
    let first = keygen(&[]);
    assert_eq!((first.code, first.stdout.len()), (Some(0), 64), "{first:?}");
    let path = directory.path().join("own.key");
    assert_eq!(metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(metadata(&path).unwrap().len(), 64);
    let public = || hew_security::StaticKeypair::load(&path).unwrap().public().to_hex();
    assert_eq!(public(), first.stdout);

    let second = keygen(&[]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("own.key") && second.stderr.contains("exists already"), "{second:?}");
    assert_eq!(public(), first.stdout);

    let third = keygen(&["--force", "--json"]);
    assert_eq!(third.json()["public_key"], public().as_str());
    assert_ne!(public(), first.stdout);
    assert_eq!(run(directory.path(), &["keygen", "no/such/own.key"]).code, Some(1));
}

#[test]
fn a_key_file_that_cannot_be_trusted_is_refused_by_name() {
    let scene = Scene::new();
    let start = |key| ["node", "--id", "1", "--open", "--key", key];
    set_permissions(scene.path().join("1.key"), Permissions::from_mode(0o644)).unwrap();
    scene.refused(1, &["1.key", "mode 0644"], &start("1.key"));
    write(scene.path().join("short.key"), "short").unwrap();
    set_permissions(scene.path().join("short.key"), Permissions::from_mode(0o600)).unwrap();
    scene.refused(1, &["short.key", "has 5 bytes, expected 64"], &start("short.key"));
    scene.refused(1, &["missing.key", "No such file"], &start("missing.key"));
    scene.refused(1, &["not a regular file"], &start("."));
    std::os::unix::fs::symlink("2.key", scene.path().join("link.key")).unwrap();
    scene.refused(1, &["link.key", "symbolic link"], &start("link.key"));
    // The operator's commands read keys by the same rules.
    let members = ["members", "--connect", "127.0.0.1:1", "--open", "--key", "1.key"];
    scene.refused(1, &["1.key", "mode 0644"], &members);
}

#[test]
fn a_node_with_a_key_keeps_its_incarnation_beside_it() {
    let scene = Scene::new();
    let path = scene.path().join("1.key.incarnation");
    let stored = || read_to_string(&path).unwrap();
    let (node, _) = scene.node(1, &[]);
    let first = stored();
    assert_eq!(metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    drop(node);
    // As if the clock had gone back by years.
    let ahead = "hew incarnation 9999999999999\n";
    write(&path, ahead).unwrap();
    let (node, _) = scene.node(1, &[]);
    assert_eq!(stored(), "hew incarnation 10000000000000\n", "after {first}");
    drop(node);

    let start = ["node", "--id", "1", "--open", "--key", "1.key"];
    write(&path, "nonsense").unwrap();
    scene.refused(1, &["1.key.incarnation", "does not hold an incarnation"], &start);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("2.key", &path).unwrap();
    scene.refused(1, &["1.key.incarnation", "symbolic link"], &start);
    let elsewhere = scene.path().join("none/state").display().to_string();
    scene.refused(1, &["none/state", "No such file"], &[&start[..], &["--state", &elsewhere]].concat());
}

#[test]
fn an_allowlist_that_cannot_be_read_is_named_with_its_line() {
    let scene = Scene::new();
    write(scene.path().join("bad"), "# ours\n1 123 first\n").unwrap();
    scene.refused(2, &["bad", "line 2"], &["node", "--id", "1", "--allow", "bad"]);
    scene.refused(1, &["missing", "No such file"], &["node", "--id", "1", "--allow", "missing"]);
    scene.refused(2, &["who may connect?"], &["node", "--id", "1"]);
    scene.refused(2, &["whom do you trust?"], &["members", "--connect", "127.0.0.1:1"]);
    scene.refused(2, &["--open", "--allow"], &["node", "--id", "1", "--open", "--allow", "allow"]);
}

#[test]
fn an_unknown_setting_is_named_and_corrected() {
    let scene = Scene::new();
    let path = scene.path().join("node.toml");
    write(&path, "id = 1\nopen = true\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let start = ["node", "--config", "node.toml"];
    scene.refused(2, &["node.toml", "line 3", "`lisen`", "did you mean `listen`?"], &start);
    write(&path, "id = 70000\nopen = true\n").unwrap();
    scene.refused(2, &["node.toml", "line 1"], &start);
    write(&path, "open = true\n").unwrap();
    scene.refused(2, &["needs an id"], &start);
    scene.refused(1, &["none.toml", "No such file"], &["node", "--config", "none.toml"]);
}

#[test]
fn an_address_that_cannot_be_used_is_named() {
    let scene = Scene::new();
    let node = |flag, address| ["node", "--id", "1", "--open", flag, address];
    scene.refused(2, &["listen", "\"nonsense\"", "port"], &node("--listen", "nonsense"));
    scene.refused(2, &["join", "\"h:99999\""], &node("--join", "h:99999"));
    scene.refused(2, &["advertise"], &node("--advertise", ":1"));
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    scene.refused(1, &["cannot listen", &busy, "already in use"], &node("--listen", &busy));
    scene.refused(2, &["\"nonsense\""], &["members", "--open", "--connect", "nonsense"]);
    scene.refused(2, &["--id", "\"0\" is not a node id"], &["node", "--id", "0", "--open"]);
    scene.refused(2, &["workers"], &["node", "--id", "1", "--open", "--workers", "0"]);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let scene = Scene::new();
    let file = "id = 7\nname = 'of the file'\nlisten = '127.0.0.1:0'\nkey = '1.key'\nallow = 'none'\n";
    write(scene.path().join("node.toml"), file).unwrap();
    let mut command = crate::process::command(
        scene.path(),
        &["node", "--json", "--config", "node.toml", "--id", "1", "--open"],
    );
    command.env("HEW_ID", "2").env("HEW_NAME", "of a variable").env("HEW_ALLOW", "none");
    let mut node = crate::process::Running::start(command);
    let ready = node.event("ready");
    assert_eq!((&ready["node"], &ready["ephemeral"]), (&1.into(), &false.into()));
    let address = ready["address"].as_str().unwrap();
    let info = run(scene.path(), &["info", "--json", "--open", "--connect", address]).json();
    assert_eq!(info["name"], "of a variable");
}
