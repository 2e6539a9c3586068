//! PIDs as numbers: 16 bits of node id, 48 bits of serial.

use crate::error::{Failure, void};
use crate::process::{local_node, running_process, set_local_node};
use hew_wire::{NodeId, Pid};

/// Puts a PID together; the serial is cut to 48 bits.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_make(node: u16, serial: u64) -> u64 {
    Pid::new(NodeId::from_raw(node), serial).raw()
}

/// The node of a PID; 0 means this process.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_node(pid: u64) -> u16 {
    Pid::from_raw(pid).node().raw()
}

/// The serial of a PID.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_serial(pid: u64) -> u64 {
    Pid::from_raw(pid).serial()
}

/// 1 if the PID is of this process: its node is 0 or the local one; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_is_local(pid: u64) -> i32 {
    let node = Pid::from_raw(pid).node();
    i32::from(node.is_local() || node == local_node())
}

/// Sets the node id that PIDs of this process show. Starting a node does it; while one runs, this is refused.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_set_local_node(node: u16) {
    void("hew_pid_set_local_node", || {
        if let Some(process) = running_process()
            && process.current_node().is_ok()
        {
            return Err(Failure::invalid(format!("node {} runs in this process", local_node())));
        }
        set_local_node(NodeId::from_raw(node));
        Ok(())
    });
}

/// The node id that PIDs of this process show; 0 before a node was started.
#[unsafe(no_mangle)]
pub extern "C" fn hew_pid_local_node() -> u16 {
    local_node().raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_made_of_two_numbers() {
        let pid = hew_pid_make(0xABCD, 0xFFFF_0000_0000_0007);
        assert_eq!((hew_pid_node(pid), hew_pid_serial(pid)), (0xABCD, 7));
        assert_eq!(pid, 0xABCD_0000_0000_0007);
        assert_eq!(hew_pid_is_local(hew_pid_make(0, 5)), 1);
        assert_eq!(hew_pid_is_local(hew_pid_make(0xABCD, 5)), 0);
    }
}
