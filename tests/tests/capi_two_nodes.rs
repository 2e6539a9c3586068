//! One C program in two processes: nodes, a name, messages, questions, and the end of a node.

mod capi;

use capi::{BOTH, Program, Running, compile};

fn serve_and_use(program: &Program) -> (Running, Running) {
    let server = program.start(&["serve"]);
    let address = server.expect("listening");
    let user = program.start(&["use", address.as_str()]);
    assert_eq!(user.expect("total"), "1001");
    user.expect("watching");
    (server, user)
}

#[test]
fn a_c_program_in_two_processes_finds_sends_and_asks() {
    for library in BOTH {
        let program = compile("two_nodes", library);
        let (mut server, user) = serve_and_use(&program);
        server.end_input();
        assert_eq!(server.expect("stopped"), "1001");
        // The counter was stopped, in order.
        assert_eq!(user.expect("down"), "0");
        user.finish();
        server.finish();
    }
}

#[test]
fn the_end_of_a_process_reaches_a_monitor_in_another() {
    let program = compile("two_nodes", capi::Library::Static);
    let (mut server, user) = serve_and_use(&program);
    server.kill();
    // Its node is down.
    assert_eq!(user.expect("down"), "-17");
    user.finish();
}
