//! The untrusted side: loader, backends (simulated processor, hardware), host-call server.
