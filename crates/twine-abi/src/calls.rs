//! The host calls: one list from which numbers, types, dispatch and documentation derive.

use crate::wire::{HostCall, MAX_WORDS, Status, Words};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: u64),* }

        impl Words for $name {
            const COUNT: usize = { const NAMES: &[&str] = &[$(stringify!($field)),*]; NAMES.len() };
            #[allow(unused_mut, unused_assignments, reason = "some have no fields")]
            fn to_words(&self) -> [u64; MAX_WORDS] {
                let mut words = [0; MAX_WORDS];
                let mut slots = words.iter_mut();
                $(if let Some(slot) = slots.next() { *slot = self.$field; })*
                let _ = slots;
                words
            }
            #[allow(unused_mut, unused_variables, reason = "some have no fields")]
            fn from_words(words: &[u64; MAX_WORDS]) -> Self {
                let mut words = words.iter().copied();
                Self { $($field: words.next().unwrap_or_default()),* }
            }
        }
        const _: () = assert!($name::COUNT <= MAX_WORDS);
    };
}

macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $number:literal $name:ident as $method:ident { $($(#[$rdoc:meta])* $field:ident),* }
            => $reply:ident { $($(#[$adoc:meta])* $answer:ident),* }
    )*) => {
        /// The calls by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum Call { $($(#[$doc])* $name = $number),* }

        impl Call {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Call] = &[$(Call::$name),*];

            /// The highest number. Not every number below it is a call's.
            pub const LAST: usize = {
                let mut at = 1;
                while at < Self::ALL.len() {
                    assert!((Self::ALL[at - 1] as usize) < Self::ALL[at] as usize, "the list is in the order of numbers");
                    at += 1;
                }
                Self::ALL[at - 1] as usize
            };

            /// The call of a request's first word.
            pub fn from_word(word: u64) -> Option<Self> {
                match word { $($number => Some(Self::$name),)* _ => None }
            }

            /// Its name in statistics and traces.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($method)),* }
            }

            /// How many words its request has.
            pub const fn request_words(self) -> usize {
                match self { $(Self::$name => $name::COUNT),* }
            }
        }

        $(
            words! { $(#[$doc])* $name { $($(#[$rdoc])* $field),* } }
            words! {
                #[doc = concat!("The reply to [`", stringify!($name), "`].")]
                $reply { $($(#[$adoc])* $answer),* }
            }
            impl HostCall for $name {
                const CALL: Call = Call::$name;
                type Reply = $reply;
            }
        )*

        /// The host's side: one method per call. `data` is the request's bytes; what a reply carries as bytes goes
        /// to `out`, which the server clips to what the request allows.
        pub trait Server {
            $(
                $(#[$doc])*
                fn $method(&mut self, request: $name, data: &[u8], out: &mut [u8])
                    -> Result<($reply, usize), Status>;
            )*
        }

        /// Calls the method that `call` names. `Err` is the status of the reply; the `usize` counts the bytes in `out`.
        pub fn dispatch<S: Server + ?Sized>(
            server: &mut S, call: Call, words: &[u64; MAX_WORDS], data: &[u8], out: &mut [u8],
        ) -> Result<([u64; MAX_WORDS], usize, usize), Status> {
            match call {
                $(Call::$name => {
                    let (reply, bytes) = server.$method($name::from_words(words), data, out)?;
                    Ok((reply.to_words(), $reply::COUNT, bytes))
                }),*
            }
        }

        /// How many words the reply to `call` has.
        pub const fn reply_words(call: Call) -> usize {
            match call { $(Call::$name => $reply::COUNT),* }
        }
    };
}

calls! {
    /// Asks for the run request ([`crate::run`]): what the host wants done. Bytes back: at most `max` from `offset`.
    /// The enclave checks the measured part against CONFIGID and believes nothing else of it.
    1 RunRequest as run_request { /// First byte.
        offset, /// Most bytes of the answer.
        max } => RunRequestReply { /// Size of the whole.
        total }
    /// Asks for the module's bytes. The enclave hashes its own copy; a size that changes between two calls ends the run.
    2 ReadModule as read_module { /// First byte.
        offset, /// Most bytes of the answer.
        max } => ReadModuleReply { /// Size of the whole.
        total }
    /// Standard input: blocks until there is at least one byte, none is the end. The bytes are the host's choice.
    3 ReadStdin as read_stdin { /// Most bytes of the answer.
        max } => ReadStdinReply {}
    /// Writes the request's bytes to a [`Stream`]. The enclave may not conclude that anybody saw them.
    4 Write as write { /// A [`Stream`].
        stream } => WriteReply {}
    /// Waits for standard input or a time. The enclave may not conclude that the time has passed.
    5 Wait as wait { /// 1: return when standard input can be read.
        stdin, /// Nanoseconds to wait at most; `u64::MAX`: no limit.
        timeout } => WaitReply { /// 1: standard input can be read (or has ended).
        stdin }
    /// The host's clocks in nanoseconds. Monotonicity is the enclave's own doing.
    6 Clock as clock {} => ClockReply { /// CLOCK_MONOTONIC.
        monotonic, /// CLOCK_REALTIME since 1970-01-01 UTC.
        realtime }
    /// Looks up a sealed artefact by the request's bytes (32, a name without meaning to the host).
    7 CacheGet as cache_get { /// First byte.
        offset, /// Most bytes of the answer.
        max } => CacheGetReply { /// Size of the whole.
        total }
    /// Stores a piece of a sealed artefact: the request's first 32 bytes name it, the rest goes to `offset`. The piece
    /// that ends at `total` makes it visible, all at once.
    8 CachePut as cache_put { /// Where the piece goes.
        offset, /// Size of the whole.
        total } => CachePutReply {}
    /// Long work goes on; for a person who watches. No answer is needed.
    9 Progress as progress { /// A [`Stage`].
        stage, /// How much is done.
        done, /// Of how much; 0: unknown.
        total } => ProgressReply {}
    /// Asks for one more thread, to enter at a slot's TCS. Entering one that is not prepared does nothing.
    10 Spawn as spawn { /// Thread slot.
        slot } => SpawnReply {}
    /// Sleeps until [`Wake`] for this slot or the timeout; a hint, the enclave looks at its own memory afterwards.
    11 Park as park { /// Thread slot.
        slot, /// Nanoseconds; `u64::MAX`: no limit.
        timeout } => ParkReply {}
    /// Wakes the parked thread of a slot; may come before it parks.
    12 Wake as wake { /// Thread slot.
        slot } => WakeReply {}
    /// Restricts the EPC permissions of pages (EMODPR by SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS) and sets the mapping's.
    /// The enclave EACCEPTs each page and so proves it.
    13 Restrict as restrict { /// First byte, from the enclave's base.
        offset, /// Bytes.
        length, /// New EPCM permissions: 1 R, 2 W, 4 X.
        /// 7 leaves them as they are.
        permissions, /// Permissions of the mapping.
        mapping } => RestrictReply {}
    /// Changes pages to PT_TRIM (SGX_IOC_ENCLAVE_MODIFY_TYPES); the enclave EACCEPTs each.
    14 Trim as trim { /// First byte, from the enclave's base.
        offset, /// Bytes.
        length } => TrimReply {}
    /// Removes trimmed and accepted pages (SGX_IOC_ENCLAVE_REMOVE_PAGES); the range may be used again.
    15 Remove as remove { /// First byte, from the enclave's base.
        offset, /// Bytes.
        length } => RemoveReply {}
    /// The run's end as the enclave tells it: an [`Outcome`] and its code; the request's bytes are a message for a person.
    16 Finish as finish { /// An [`Outcome`].
        outcome, /// Exit status of the guest, where there is one.
        code, /// Pages committed at this moment.
        pages, /// Most pages committed at any time.
        peak_pages } => FinishReply {}
    /// A phase of the start-up is over; the host takes the time.
    17 Phase as phase { /// A [`StartPhase`].
        phase } => PhaseReply {}
    /// Opens the store of the volume that the request's bytes name, creating it where there is none. Everything that comes
    /// out of a store is hostile until the volume has verified it.
    18 StoreOpen as store_open { /// 1: to change it.
        write } => StoreOpenReply { /// Handle for the calls below.
        store, /// Its length in bytes.
        length }
    /// Reads pieces. The request's bytes are pairs of offset and length, the answer's the pieces one after another, all
    /// of them; what lies past the end reads as zeros.
    20 StoreRead as store_read { /// Handle.
        store, /// Number of pairs.
        pieces } => StoreReadReply {}
    /// Writes pieces: pairs of offset and length, then the pieces' bytes, in the same order.
    21 StoreWrite as store_write { /// Handle.
        store, /// Number of pairs.
        pieces, /// 1: then [`StoreSync`]; 0: nothing is durable yet.
        durable } => StoreWriteReply {}
    /// One durable barrier. An honest host answers when everything before it survives a power cut.
    22 StoreSync as store_sync { /// Handle.
        store } => StoreSyncReply {}
    /// Makes a range exist and be backed by space.
    23 StoreAllocate as store_allocate { /// Handle.
        store, /// First byte.
        offset, /// Bytes.
        length } => StoreAllocateReply {}
    /// Gives the space of a range back.
    24 StorePunch as store_punch { /// Handle.
        store, /// First byte.
        offset, /// Bytes.
        length } => StorePunchReply {}
    /// Cuts a store.
    25 StoreTruncate as store_truncate { /// Handle.
        store, /// New length in bytes.
        length } => StoreTruncateReply {}
    /// The length of a store in bytes.
    26 StoreLength as store_length { /// Handle.
        store } => StoreLengthReply { /// Bytes.
        length }
    /// Opens the folder of the host behind the mount whose guest path the request's bytes are. Whatever comes out of a
    /// folder is hostile: that of an `insecure-host` mount stays the host's word, that of a measured one is hashed.
    30 FolderOpen as folder_open { /// 1: to change it.
        write } => FolderOpenReply { /// Handle for the calls below.
        node, /// A [`NodeKind`].
        kind, /// With `inode`: tells nodes apart.
        device, /// See `device`.
        inode }
    /// Looks up the name in the request's bytes: one component, links are not followed.
    31 FolderLookup as folder_lookup { /// Directory.
        dir } => FolderLookupReply { /// Handle; a new one with each look-up.
        node, /// A [`NodeKind`].
        kind, /// As in [`FolderOpenReply`].
        device, /// As in [`FolderOpenReply`].
        inode }
    /// Attributes of a node; times in nanoseconds since 1970.
    32 FolderStat as folder_stat { /// Handle.
        node } => FolderStatReply { /// A [`NodeKind`].
        kind, /// As in [`FolderOpenReply`].
        device, /// As in [`FolderOpenReply`].
        inode, /// Bytes.
        size, /// Number of names.
        links, /// Last access.
        accessed, /// Last change of the contents.
        modified, /// Last change of contents or attributes.
        changed }
    /// Reads a file, or a link's target: at most `max` bytes from `offset`, none is the end.
    33 FolderRead as folder_read { /// Handle.
        node, /// First byte.
        offset, /// Most bytes of the answer.
        max } => FolderReadReply {}
    /// Writes the request's bytes, all of them.
    34 FolderWrite as folder_write { /// Handle.
        node, /// First byte; `u64::MAX`: at the end, in one step.
        offset } => FolderWriteReply { /// Where they end.
        end }
    /// Changes a node.
    35 FolderChange as folder_change { /// Handle.
        node, /// A [`NodeChange`].
        change, /// What the change says.
        first, /// What the change says.
        second, /// What the change says.
        third } => FolderChangeReply {}
    /// Makes, moves or removes a name. The request's bytes are one name, or a name and what goes with it.
    36 FolderName as folder_name { /// A [`NameOperation`].
        operation, /// Handle: the directory, or the node that gets a name.
        node, /// Handle: the directory of the second name.
        to, /// Bytes of the first name.
        length } => FolderNameReply { /// Handle of what was made, where something was.
        node, /// A [`NodeKind`].
        kind, /// As in [`FolderOpenReply`].
        device, /// As in [`FolderOpenReply`].
        inode }
    /// Entries of a directory after a cookie, as [`crate::folder`] lays them out; `.`, `..`, special files and names that
    /// are not UTF-8 are left out.
    37 FolderList as folder_list { /// Handle.
        node, /// 0: from the first.
        cookie, /// Most bytes of the answer.
        max } => FolderListReply { /// 1: there are no more.
        end }
    /// Gives handles back: the request's bytes are words.
    38 FolderClose as folder_close {} => FolderCloseReply {}
    /// The freshness anchor of a volume's store: what is kept beside it, or a message to the owner's service.
    39 Anchor as anchor { /// Handle of the store.
        store, /// An [`AnchorOperation`].
        operation, /// Bytes of what is expected, at the head of the request's.
        expected } => AnchorReply {}
    /// Whom to address a report to that is to be quoted: bytes back are a TARGETINFO. A wrong one makes a report that
    /// nobody can check, and a quote that says the enclave's identity all the same.
    40 QuoteTarget as quote_target {} => QuoteTargetReply {}
    /// Has the request's bytes, a REPORT for [`QuoteTarget`], quoted: bytes back are the quote, at most [`MAX_QUOTE`].
    /// The enclave checks that it is about the report that it sent; the relying party checks the rest.
    41 Quote as quote {} => QuoteReply {}
    /// Opens a connection for the deliverer that the request's bytes name (none: any): the host makes one to its key
    /// service, or accepts the next one. All that comes over it is a stranger's until TLS, which ends in the enclave, and
    /// the workload have said whose it is.
    42 PeerOpen as peer_open {} => PeerOpenReply { /// Handle for the calls below.
        peer, /// 1: the host made it, 0: it accepted it.
        made }
    /// Blocks until there is at least one byte; none is the end.
    43 PeerRead as peer_read { /// Handle.
        peer, /// Most bytes of the answer.
        max } => PeerReadReply {}
    /// Sends the request's bytes, all of them.
    44 PeerWrite as peer_write { /// Handle.
        peer } => PeerWriteReply {}
    /// Ends the connection. The request's bytes say to a person why it brought nothing; none: it did.
    45 PeerClose as peer_close { /// Handle.
        peer } => PeerCloseReply {}
    /// Asks for collateral for a peer's quote, the request's bytes, as JSON. Whatever comes back is verified like any.
    50 Collateral as collateral { /// First byte.
        offset, /// Most bytes of the answer.
        max } => CollateralReply { /// Size of the whole.
        total }
    /// What an open volume tells about itself, for statistics. The request's bytes: its name, a zero byte, its anchor's name.
    55 VolumeState as volume_state { /// Sequence of the last committed state.
        sequence, /// Bytes of the store that the volume accounts for.
        store_bytes, /// Of these, in use.
        used_bytes, /// A [`Window`].
        window, /// Nanoseconds, for [`Window::Interval`].
        interval, /// A [`Cipher`].
        cipher } => VolumeStateReply {}
    /// One thing that checking a volume found wrong; the request's bytes say what, in words that are not of the contents.
    56 Finding as finding { /// Inode that it concerns; `u64::MAX`: none.
        inode, /// Slot of 4 KiB in the store; `u64::MAX`: none.
        slot } => FindingReply {}
    /// Asks for a store's contents in the host's memory, to be read there without a call. The enclave checks once that
    /// the place is outside; what it reads there is as hostile as an answer of [`StoreRead`]. A later answer for the same
    /// store takes the earlier one's place. Where the host's disk fails, the run ends as in a power cut.
    70 StoreMap as store_map { /// Handle.
        store } => StoreMapReply { /// Where it starts.
        address, /// Bytes of the store that are there now.
        length, /// Bytes of addresses: what the store grows to appears there, as far as they reach.
        room }
}

/// Most bytes of a quote.
pub const MAX_QUOTE: usize = 1 << 16;

/// Most bytes of an anchor's record or of a service's answer.
pub const MAX_ANCHOR: usize = 512;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum $name { $($(#[$vdoc])* $variant = $value),* }

        impl $name {
            /// The variant of a word.
            pub fn from_word(word: u64) -> Option<Self> {
                match word { $($value => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// Where [`Write`] goes.
    Stream {
        /// The guest's standard output.
        Stdout = 1,
        /// The guest's standard error.
        Stderr = 2,
        /// The enclave's own diagnostics; production enclaves say only that they ended.
        Log = 3,
        /// `--trace`: one line per WASI call; debug enclaves only.
        Trace = 4,
    }
}

codes! {
    /// What [`Progress`] is about.
    Stage {
        /// Reading the module.
        Load = 1,
        /// Compiling it.
        Compile = 2,
    }
}

codes! {
    /// Phases of the start-up, each told when it is over.
    StartPhase {
        /// The enclave is initialised: relocated, memory, identity.
        Launch = 1,
        /// The runtime is there, and the request is accepted.
        Runtime = 2,
        /// The module is read and compiled.
        Compiled = 3,
        /// The module came from the sealed cache.
        Cached = 4,
        /// The guest's first instruction is next.
        GuestStart = 5,
        /// A deliverer is connected, and the enclave has attested itself.
        Attested = 6,
        /// Code and secrets are in the enclave.
        Delivered = 7,
    }
}

codes! {
    /// How much of a volume's history a host can take back at a restart without being noticed.
    Window {
        /// All of it: there is no anchor.
        Unbounded = 0,
        /// Nothing that a sync acknowledged.
        Nothing = 1,
        /// The commits of an interval.
        Interval = 2,
        /// The commits of one run that did not end properly.
        Run = 3,
    }
}

codes! {
    /// Which instructions the cipher of volumes has, by what `cpuid` answers inside.
    Cipher {
        /// None of its own.
        Plain = 0,
        /// AES-NI and PCLMULQDQ, 128 bits at a time.
        Aes = 1,
        /// VAES and VPCLMULQDQ, 256 bits at a time.
        Vectors = 2,
    }
}

codes! {
    /// How a run ended; the command line turns it into an exit code.
    Outcome {
        /// The guest ended by itself; `code` is its exit status.
        Exited = 1,
        /// A WebAssembly trap.
        Trapped = 2,
        /// The fuel was used up.
        OutOfFuel = 3,
        /// The enclave honoured a request to stop.
        Stopped = 4,
        /// The module is malformed, invalid or asks for what is not there.
        BadModule = 5,
        /// The run request is malformed or contradicts CONFIGID.
        Refused = 6,
        /// The enclave could not go on.
        Failed = 7,
        /// The program ended, and the last of its output or of its volumes could not be written.
        NotWritten = 8,
        /// A volume is older than its anchor remembers, or of another history.
        RolledBack = 9,
        /// A volume is none, or it is damaged or forged.
        BadVolume = 10,
    }
}

codes! {
    /// What a node of a folder is; the host offers no others.
    NodeKind {
        /// A regular file.
        File = 1,
        /// A directory.
        Directory = 2,
        /// A symbolic link.
        Symlink = 3,
    }
}

codes! {
    /// What [`FolderChange`] does.
    NodeChange {
        /// Sets the size to `first`.
        Size = 1,
        /// Makes the file at least `first` + `second` bytes long.
        Allocate = 2,
        /// Sets access time and modification time: `first` is a [`TimeChange`] for each, the second one times 256;
        /// `second` and `third` are the times.
        Times = 3,
        /// fsync(2).
        Sync = 4,
        /// fdatasync(2).
        DataSync = 5,
    }
}

codes! {
    /// What to do with one time.
    TimeChange {
        /// Leave it.
        Keep = 0,
        /// The host's clock.
        Now = 1,
        /// The time that is given.
        At = 2,
    }
}

codes! {
    /// What [`FolderName`] does.
    NameOperation {
        /// Creates an empty file; the name must be free.
        Create = 1,
        /// Creates a directory.
        MakeDirectory = 2,
        /// Creates a symbolic link; its target follows the name.
        Symlink = 3,
        /// Gives `node` the name in `to`.
        Link = 4,
        /// Removes the name of anything but a directory.
        Unlink = 5,
        /// Removes an empty directory.
        RemoveDirectory = 6,
        /// rename(2) to the name that follows, in `to`.
        Rename = 7,
    }
}

codes! {
    /// What [`Anchor`] does.
    AnchorOperation {
        /// Reads the record beside the store; none: [`Status::NotFound`].
        Get = 1,
        /// Replaces the expected record (empty: none) by the one that follows; [`Status::Busy`] if there is another.
        Swap = 2,
        /// Sends a message to the service and brings its answer.
        Ask = 3,
    }
}
