//! Two nodes, and an operator who asks, sends, and ends them.

use crate::process::run;
use crate::scene::{Scene, check_failure};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn an_operator_sees_the_cluster_and_talks_to_its_actors() {
    let scene = Scene::new();
    let actors = ["--actor", "counter=visits", "--actor", "echo=mirror", "--actor", "silent=wall"];
    let (mut first, address) = scene.node(1, &actors);
    let (mut second, other) = scene.node(2, &["--join", &address, "--actor", "counter=far"]);
    second.event("joined");
    // The name of the second node's actor has come to the first.
    first.until("the name far", |line| line.contains("far").then_some(()));

    let members = scene.operator(&address, &["members", "--json"]).json();
    let member = |at: usize| (&members[at]["node"], &members[at]["state"], &members[at]["address"]);
    assert_eq!(member(0), (&json!(1), &json!("alive"), &json!(address)));
    assert_eq!(member(1), (&json!(2), &json!("alive"), &json!(other)));
    let table = scene.operator(&address, &["members"]).stdout;
    assert!(table.starts_with("node  state") && table.contains(&other), "{table}");

    let names = scene.operator(&address, &["names", "--json"]).json();
    let names: Vec<_> = names.as_array().unwrap().iter().map(|name| (&name["name"], &name["node"])).collect();
    let [far, mirror, visits, wall] = ["far", "mirror", "visits", "wall"].map(|name| json!(name));
    let (one, two) = (json!(1), json!(2));
    assert_eq!(names, [(&far, &two), (&mirror, &one), (&visits, &one), (&wall, &one)]);
    let info = scene.operator(&other, &["info", "--json"]).json();
    assert_eq!((&info["node"], &info["cluster"], &info["actors"]), (&json!(2), &json!("hew"), &json!(1)));

    // The second counter is on another node than the one that is connected to.
    for (name, node) in [("visits", 1), ("far", 2)] {
        let done = |arguments: &[&str]| {
            let ended = scene.operator(&address, arguments);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended
        };
        done(&["send", name, "0", "5"]);
        let sent = done(&["send", name, "0", "7", "--json"]).json();
        assert!(sent["sent_to"].as_str().unwrap().starts_with(&format!("{node}.")), "{sent}");
        assert_eq!(done(&["ask", name, "1"]).stdout, "12");
    }
    let question = r#"{"a":[1,-2,null,"x"]}"#;
    assert_eq!(scene.operator(&address, &["ask", "mirror", "0", question]).stdout, question);

    let failure = |code, words: &[&str], arguments: &[&str]| {
        check_failure(&scene.operator(&address, arguments), code, words);
    };
    failure(1, &["nobody is registered as \"nobody\"", "node 1"], &["ask", "nobody", "0"]);
    failure(1, &["nobody is registered as \"nobody\""], &["send", "nobody", "0"]);
    failure(1, &["\"visits\"", "message type 9"], &["ask", "visits", "9"]);
    failure(2, &["not JSON"], &["send", "visits", "0", "{"]);
    failure(124, &["\"wall\"", "no answer within the deadline"], &["ask", "wall", "0", "--timeout", "4"]);
    assert_eq!(scene.operator(&address, &["ask", "visits", "1"]).stdout, "12");

    second.signal(Signal::TERM);
    let ended = second.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let down = first.event("member_down");
    assert_eq!((&down["node"], &down["reason"]), (&json!(2), &json!("left")));
    let members = scene.operator(&address, &["members", "--json"]).json();
    assert_eq!(members[1]["state"], "left");
    failure(1, &["nobody is registered as \"far\""], &["ask", "far", "1"]);
    first.signal(Signal::INT);
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn an_open_cluster_takes_whoever_comes_and_says_that_its_key_is_for_this_run_only() {
    let scene = Scene::new();
    let start = ["node", "--id", "1", "--open", "--actor", "counter=visits"];
    let mut node = crate::process::Running::start(crate::process::command(scene.path(), &start));
    let ready = node.until("the first line", |line| Some(line.to_owned()));
    assert!(ready.contains("node 1 is ready") && ready.contains("made for this run only"), "{ready}");
    let address = ready.split("listens at ").nth(1).unwrap().split(',').next().unwrap();
    for total in ["0", "0"] {
        let ended = run(scene.path(), &["ask", "visits", "1", "--open", "--connect", address]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), total), "{ended:?}");
    }
    // The first of several addresses that answers is asked.
    let both = format!("127.0.0.1:1,{address}");
    assert_eq!(run(scene.path(), &["info", "--open", "--connect", &both]).code, Some(0));
}
