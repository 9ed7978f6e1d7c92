"""How the threads of the pool share a stage, wait and sleep: the half of the runner's IR that is
about threads (see `runner` for the tables).

**Taking.** The caller writes what the stage is into the pool's table, then opens the ticket: the
stage's number in its upper half, the chunks left in the lower. Who swaps the ticket for one less
has a chunk, and with it the promise that the stage stays as it is until the chunk is counted in
DONE. So a worker that comes late, to whatever stage, finds a chunk of the open one or nothing.

**Sleeping.** A worker reads SIGNAL, raises ASLEEP, looks for a chunk once more, then sleeps for as
long as SIGNAL is what it was. The caller opens the ticket first and looks at ASLEEP afterwards: one
of the two sees the other. The caller waits for DONE in the same way, by way of WAITING.
A worker spins before it sleeps, since to be woken takes 10 to 50 µs: longer while a program runs.

Where the system has no futex, workers nap between looks, for longer and longer, up to 10 ms; calls
after some idleness start without them.

A stage's number returns after 2**32 stages; a worker would have to be stopped between two
instructions for exactly as long to mistake one for the other.
"""

from __future__ import annotations

# What tells the CPU that a loop waits, and its declaration, by architecture.
PAUSES = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
    "arm64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}

_TAKE = """\
; Threads: taking chunks, sharing a stage, the life of a worker.

$pause_declaration
declare i64 @llvm.smin.i64(i64, i64)
declare i32 @llvm.smin.i32(i32, i32)

; Tiles %first to %last of a stage, whose steps' tiles are numbered through.
define internal void @run_tiles(ptr %program, ptr %stage, i64 %first, i64 %last, ptr %scratch) {
entry:
  %steps = field ptr %program, $program_steps
  %number = field i64 %stage, 0
  %offset = mul i64 %number, $step
  %row.first = getelementptr i64, ptr %steps, i64 %offset
  br label %step
step:                                     ; %from and %to count from the step's first tile
  %row = phi ptr [%row.first, %entry], [%row.next, %next]
  %from = phi i64 [%first, %entry], [%from.next, %next]
  %to = phi i64 [%last, %entry], [%to.next, %next]
  %tiles = field i64 %row, 2
  %within = icmp slt i64 %from, %tiles
  br i1 %within, label %run, label %next
run:
  %end = call i64 @llvm.smin.i64(i64 %to, i64 %tiles)
  %kernel = field ptr %row, 0
  %arguments = field ptr %row, 1
  call void %kernel(ptr %arguments, i64 %from, i64 %end, ptr %scratch)
  br label %next
next:
  %reached = phi i64 [%from, %step], [%end, %run]
  %from.next = sub i64 %reached, %tiles
  %to.next = sub i64 %to, %tiles
  %row.next = getelementptr i64, ptr %row, i64 $step
  %more = icmp slt i64 %from.next, %to.next
  br i1 %more, label %step, label %over
over:
  ret void
}

; Take chunks of the open stage and run them until none is left: how many they were.
define internal i64 @run_chunks(ptr %pool, i64 %index) {
entry:
  %ticket.at = getelementptr i64, ptr %pool, i64 $pool_ticket
  %room.at = getelementptr i64, ptr %pool, i64 $pool_room
  br label %look
look:
  %ran = phi i64 [0, %entry], [%ran, %take], [%ran.more, %run]
  %ticket = load atomic i64, ptr %ticket.at acquire, align 8
  %left = and i64 %ticket, 4294967295
  %closed = icmp eq i64 %left, 0
  br i1 %closed, label %over, label %fit
fit:                                      ; this stage's room, if the swap below succeeds
  %room = load atomic i64, ptr %room.at monotonic, align 8
  %fits = icmp slt i64 %index, %room
  br i1 %fits, label %take, label %over
take:
  %less = sub i64 %ticket, 1
  %swap = cmpxchg ptr %ticket.at, i64 %ticket, i64 %less acq_rel acquire
  %taken = extractvalue { i64, i1 } %swap, 1
  br i1 %taken, label %run, label %look
run:
  %program = field ptr %pool, $pool_program
  %stage = field ptr %pool, $pool_stage
  %chunks = field i64 %pool, $pool_chunks
  %tiles = field i64 %stage, 2
  %size = field i64 %stage, 3
  %chunk = sub i64 %chunks, %left
  %first = mul i64 %chunk, %size
  %end = add i64 %first, %size
  %last = call i64 @llvm.smin.i64(i64 %end, i64 %tiles)
  %scratch = field ptr %program, $program_scratch
  %stride = field i64 %program, $program_stride
  %offset = mul i64 %index, %stride
  %mine = getelementptr i8, ptr %scratch, i64 %offset
  call void @run_tiles(ptr %program, ptr %stage, i64 %first, i64 %last, ptr %mine)
  %ran.more = add i64 %ran, 1
  br label %look
over:
  ret i64 %ran
}
"""

_SLEEP = """
; Sleep while the lower half of a word is %same (FUTEX_WAIT_PRIVATE is 128); or nap.
define internal void @sleep(ptr %pool, ptr %word, i32 %same, i32 %microseconds) {
entry:
  %futex = field i64 %pool, $pool_futex
  %none = icmp eq i64 %futex, 0
  br i1 %none, label %nap, label %wait
wait:
  %syscall = field ptr %pool, $pool_syscall
  %waited = call i64 (i64, ...) %syscall(i64 %futex, ptr %word, i32 128, i32 %same, ptr null)
  ret void
nap:
  %usleep = field ptr %pool, $pool_nap
  %unit.wide = field i64 %pool, $pool_nap_unit
  %unit = trunc i64 %unit.wide to i32
  %units = udiv i32 %microseconds, %unit
  %napped = call i32 %usleep(i32 %units)
  ret void
}

; Wake up to %most threads that sleep on a word (FUTEX_WAKE_PRIVATE is 129): how many it were.
define internal i64 @wake(ptr %pool, ptr %word, i64 %most) {
entry:
  %futex = field i64 %pool, $pool_futex
  %none = icmp eq i64 %futex, 0
  br i1 %none, label %napping, label %call
call:
  %syscall = field ptr %pool, $pool_syscall
  %count = trunc i64 %most to i32
  %woken = call i64 (i64, ...) %syscall(i64 %futex, ptr %word, i32 129, i32 %count)
  ret i64 %woken
napping:
  ret i64 0
}

; Wake up to %most workers, if any sleeps. The ticket was opened before.
define internal void @call_workers(ptr %pool, i64 %most) {
entry:
  %signal.at = getelementptr i64, ptr %pool, i64 $pool_signal
  %asleep.at = getelementptr i64, ptr %pool, i64 $pool_asleep
  %asleep = load atomic i64, ptr %asleep.at seq_cst, align 8
  %nobody = icmp eq i64 %asleep, 0
  br i1 %nobody, label %over, label %call
call:                                     ; who is about to sleep finds SIGNAL changed
  store atomic i64 0, ptr %asleep.at seq_cst, align 8
  %before = atomicrmw add ptr %signal.at, i64 1 seq_cst
  %woken = call i64 @wake(ptr %pool, ptr %signal.at, i64 %most)
  %enough = icmp sge i64 %woken, %most
  br i1 %enough, label %others, label %over
others:                                   ; others may still sleep
  store atomic i64 1, ptr %asleep.at seq_cst, align 8
  br label %over
over:
  ret void
}

; Ask all workers to leave.
define internal void @dismiss(ptr %pool) {
entry:
  %signal.at = getelementptr i64, ptr %pool, i64 $pool_signal
  %stop.at = getelementptr i64, ptr %pool, i64 $pool_stop
  store atomic i64 1, ptr %stop.at seq_cst, align 8
  %before = atomicrmw add ptr %signal.at, i64 1 seq_cst
  %woken = call i64 @wake(ptr %pool, ptr %signal.at, i64 2147483647)
  ret void
}

; So many pauses.
define internal void @rest(i64 %count) {
entry:
  br label %again
again:
  %left = phi i64 [%count, %entry], [%less, %again]
  $pause
  %less = sub i64 %left, 1
  %more = icmp sgt i64 %less, 0
  br i1 %more, label %again, label %over
over:
  ret void
}
"""

_SHARE = """
; Run a stage together with the workers.
define internal void @share(ptr %pool, ptr %program, ptr %stage, i64 %chunks) {
entry:
  %program.at = getelementptr i64, ptr %pool, i64 $pool_program
  %stage.at = getelementptr i64, ptr %pool, i64 $pool_stage
  %chunks.at = getelementptr i64, ptr %pool, i64 $pool_chunks
  %room.at = getelementptr i64, ptr %pool, i64 $pool_room
  %done.at = getelementptr i64, ptr %pool, i64 $pool_done
  %ticket.at = getelementptr i64, ptr %pool, i64 $pool_ticket
  %waiting.at = getelementptr i64, ptr %pool, i64 $pool_waiting
  ; What the stage is.
  store ptr %program, ptr %program.at
  store ptr %stage, ptr %stage.at
  store i64 %chunks, ptr %chunks.at
  %room = field i64 %program, $program_room
  store atomic i64 %room, ptr %room.at monotonic, align 8
  store atomic i64 0, ptr %done.at monotonic, align 8
  ; Open it.
  %ticket.old = load atomic i64, ptr %ticket.at monotonic, align 8
  %number.old = lshr i64 %ticket.old, 32
  %number = add i64 %number.old, 1
  %upper = shl i64 %number, 32
  %ticket = or i64 %upper, %chunks
  store atomic i64 %ticket, ptr %ticket.at seq_cst, align 8
  %others = sub i64 %chunks, 1
  call void @call_workers(ptr %pool, i64 %others)
  ; Take part, then wait for what others have taken.
  %mine = call i64 @run_chunks(ptr %pool, i64 0)
  %theirs = sub i64 %chunks, %mine
  %spins = field i64 %pool, $pool_long_spin
  %yields = add i64 %spins, 100
  br label %look
look:
  %looks = phi i64 [0, %entry], [%looks.more, %spin], [%looks.more, %yield], [%looks, %awake]
  %done = load atomic i64, ptr %done.at acquire, align 8
  %complete = icmp eq i64 %done, %theirs
  br i1 %complete, label %over, label %wait
wait:
  %looks.more = add i64 %looks, 1
  %spinning = icmp slt i64 %looks, %spins
  br i1 %spinning, label %spin, label %longer
spin:
  $pause
  br label %look
longer:
  %yielding = icmp slt i64 %looks, %yields
  br i1 %yielding, label %yield, label %tire
yield:                                    ; a worker may be waiting for this very CPU
  %sched_yield = field ptr %pool, $pool_yield
  %yielded = call i32 %sched_yield()
  br label %look
tire:
  store atomic i64 1, ptr %waiting.at seq_cst, align 8
  %still = load atomic i64, ptr %done.at seq_cst, align 8
  %late = icmp eq i64 %still, %theirs
  br i1 %late, label %awake, label %doze
doze:
  %same = trunc i64 %still to i32
  call void @sleep(ptr %pool, ptr %done.at, i32 %same, i32 50)
  br label %awake
awake:
  store atomic i64 0, ptr %waiting.at seq_cst, align 8
  br label %look
over:
  ret void
}
"""

_WORK = """
; A worker, from its start till STOP.
define internal void @work(ptr %pool, i64 %index) {
entry:
  %ticket.at = getelementptr i64, ptr %pool, i64 $pool_ticket
  %room.at = getelementptr i64, ptr %pool, i64 $pool_room
  %done.at = getelementptr i64, ptr %pool, i64 $pool_done
  %waiting.at = getelementptr i64, ptr %pool, i64 $pool_waiting
  %signal.at = getelementptr i64, ptr %pool, i64 $pool_signal
  %asleep.at = getelementptr i64, ptr %pool, i64 $pool_asleep
  %stop.at = getelementptr i64, ptr %pool, i64 $pool_stop
  %lock.at = getelementptr i64, ptr %pool, i64 $pool_lock
  %short = field i64 %pool, $pool_short_spin
  %long = field i64 %pool, $pool_long_spin
  br label %look
look:                                     ; pauses since the last work, in and out of a program
  %idle = phi i64 [0, %entry], [0, %report], [0, %tell], [%idle.more, %spin], [0, %awake]
  %busy = phi i64 [0, %entry], [0, %report], [0, %tell], [%busy.more, %spin], [0, %awake]
  %nap = phi i32 [50, %entry], [50, %report], [50, %tell], [%nap, %spin], [%nap.next, %awake]
  %stop = load atomic i64, ptr %stop.at acquire, align 8
  %stopping = icmp ne i64 %stop, 0
  br i1 %stopping, label %leave, label %work
work:
  %ran = call i64 @run_chunks(ptr %pool, i64 %index)
  %some = icmp sgt i64 %ran, 0
  br i1 %some, label %report, label %none
report:
  %before = atomicrmw add ptr %done.at, i64 %ran seq_cst
  %waiting = load atomic i64, ptr %waiting.at seq_cst, align 8
  %watched = icmp ne i64 %waiting, 0
  br i1 %watched, label %tell, label %look
tell:                                     ; the caller sleeps
  %told = call i64 @wake(ptr %pool, ptr %done.at, i64 1)
  br label %look
none:
  %locked = load atomic i64, ptr %lock.at monotonic, align 8
  %unlocked = sub i64 1, %locked
  %busy.more = add i64 %busy, %locked
  %idle.more = add i64 %idle, %unlocked
  %busy.on = icmp sle i64 %busy.more, %long
  %idle.on = icmp sle i64 %idle.more, %short
  %on = and i1 %busy.on, %idle.on
  br i1 %on, label %spin, label %tire
spin:
  $pause
  br label %look
tire:
  %signal = load atomic i64, ptr %signal.at seq_cst, align 8
  store atomic i64 1, ptr %asleep.at seq_cst, align 8
  %stop.now = load atomic i64, ptr %stop.at seq_cst, align 8
  %ticket = load atomic i64, ptr %ticket.at seq_cst, align 8
  %room = load atomic i64, ptr %room.at monotonic, align 8
  %left = and i64 %ticket, 4294967295
  %open = icmp ne i64 %left, 0
  %fits = icmp slt i64 %index, %room
  %mine = and i1 %open, %fits
  %stopped = icmp ne i64 %stop.now, 0
  %up = or i1 %mine, %stopped
  br i1 %up, label %awake, label %doze
doze:
  %same = trunc i64 %signal to i32
  call void @sleep(ptr %pool, ptr %signal.at, i32 %same, i32 %nap)
  br label %awake
awake:
  %nap.double = mul i32 %nap, 2
  %nap.next = call i32 @llvm.smin.i32(i32 %nap.double, i32 10000)
  br label %look
leave:
  ret void
}
"""

WORKERS = _TAKE + _SLEEP + _SHARE + _WORK
