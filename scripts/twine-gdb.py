"""Debugs simulated debug enclaves with gdb.

usage: gdb -x scripts/twine-gdb.py --args target/debug/twine run --tee sim --debug program.wasm

Loads the enclave's symbols at its base as soon as it is loaded, and lets the signals pass that the simulated processor
lives on. `break twine_main` and `break exception.rs:39` work before `run`.

twine-ssa SLOT [FRAME]   backtrace of what thread slot SLOT did when it left the enclave asynchronously: registers and
                         cause from its state save area (SDM vol. 3D, "GPRSGX Region"); FRAME 0 is the program.
"""

import os
import struct
import subprocess

import gdb

# What follows the base in twine-abi's ImageLayout, as indices of 64-bit words.
LAYOUT_SYMBOL = "twine_enclave::layout::LAYOUT"
LAYOUT_MAGIC = int.from_bytes(b"TWINEIMG", "little")
TCB, SLOT_STRIDE, SSA_FROM_TCB = 14, 15, 17
PAGE = 4096
# GPRSGX: the last 184 bytes of a frame.
GPRSGX = 184
REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 eflags rip".split()
EXITINFO = 160

base = None


class Loaded(gdb.Breakpoint):
    """Stops nowhere: adds the symbols and goes on."""

    def stop(self):
        global base
        memory = gdb.selected_inferior()
        base = int(gdb.parse_and_eval("$rdi"))
        name = memory.read_memory(int(gdb.parse_and_eval("$rsi")), int(gdb.parse_and_eval("$rdx")))
        gdb.execute(f"add-symbol-file {bytes(name).decode()} -o {base:#x}", to_string=True)
        gdb.write(f"enclave at {base:#x}\n")
        return False


class Ssa(gdb.Command):
    """twine-ssa SLOT [FRAME]: backtrace from a state save area of the enclave."""

    def __init__(self):
        super().__init__("twine-ssa", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        numbers = [int(word, 0) for word in argument.split()]
        if base is None or not 1 <= len(numbers) <= 2:
            raise gdb.GdbError("usage: twine-ssa SLOT [FRAME], after the enclave is loaded")
        slot, frame = (numbers + [0])[:2]
        memory = gdb.selected_inferior()
        # The image has line tables only, so this symbol has no type.
        found = gdb.execute(f"info variables -q ^{LAYOUT_SYMBOL}", to_string=True)
        addresses = [line.split()[0] for line in found.splitlines() if LAYOUT_SYMBOL in line]
        if not addresses:
            raise gdb.GdbError("no symbols of the enclave")
        layout = int(addresses[0], 16)
        words = struct.unpack("<18Q", memory.read_memory(layout, 18 * 8))
        if words[0] != LAYOUT_MAGIC:
            raise gdb.GdbError("this is no enclave of this version of Twine")
        ssa = base + words[TCB] + slot * words[SLOT_STRIDE] + words[SSA_FROM_TCB] + frame * PAGE
        region = bytes(memory.read_memory(ssa + PAGE - GPRSGX, GPRSGX))
        saved = dict(zip(REGISTERS, struct.unpack_from("<18Q", region)))
        (exitinfo,) = struct.unpack_from("<I", region, EXITINFO)
        cause = f"vector {exitinfo & 0xff}" if exitinfo >> 31 else "an interrupt"
        gdb.write(f"slot {slot}, frame {frame}: left by {cause}\n")
        now = {name: int(gdb.parse_and_eval(f"${name}")) for name in REGISTERS}
        try:
            for name, value in saved.items():
                gdb.execute(f"set ${name} = {value:#x}")
            gdb.execute("backtrace")
        finally:
            for name, value in now.items():
                gdb.execute(f"set ${name} = {value:#x}")


def symbol_of_program(name):
    """The mangled name, by which alone gdb finds a function of a program that has line tables and no more."""
    program = gdb.current_progspace().filename
    if program is None:
        raise gdb.GdbError("name twine itself, as in: gdb -x scripts/twine-gdb.py --args target/debug/twine run ...")
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    found = [line.split()[2] for line in symbols.splitlines() if name in line]
    if len(found) != 1:
        raise gdb.GdbError(f"{program} has {len(found)} functions {name}: it is not twine, or stripped")
    return found[0]


gdb.execute("directory " + os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "enclave"), to_string=True)
gdb.execute("set breakpoint pending on")
gdb.execute("handle SIGSEGV SIGILL SIGSYS nostop noprint pass", to_string=True)
Loaded("*" + symbol_of_program("loaded_for_debugger"), internal=True)
Ssa()
