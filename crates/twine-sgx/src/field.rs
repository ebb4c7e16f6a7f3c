//! How a structure of named fields at fixed offsets becomes bytes and back.

use core::fmt;

use sgx_isa::{Attributes, AttributesFlags};

/// A reserved byte of a structure is not zero: the structure is of another version, or not what it is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedNotZero {
    /// The structure's name in the SDM.
    pub structure: &'static str,
    /// Offset of the first such byte.
    pub offset: usize,
}

impl fmt::Display for ReservedNotZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reserved byte {} of {} is not zero", self.offset, self.structure)
    }
}

impl core::error::Error for ReservedNotZero {}

/// A value of fixed size inside a structure.
pub(crate) trait Field: Sized {
    const SIZE: usize;
    /// Writes `SIZE` bytes.
    fn put(&self, out: &mut [u8]);
    /// Reads `SIZE` bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! integer_field {
    ($($int:ty),*) => {$(
        impl Field for $int {
            const SIZE: usize = size_of::<$int>();
            fn put(&self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                let mut le = [0; size_of::<$int>()];
                le.copy_from_slice(bytes);
                <$int>::from_le_bytes(le)
            }
        }
    )*};
}

integer_field!(u8, u16, u32, u64);

impl<const N: usize> Field for [u8; N] {
    const SIZE: usize = N;
    fn put(&self, out: &mut [u8]) {
        out.copy_from_slice(self);
    }
    fn get(bytes: &[u8]) -> Self {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        array
    }
}

impl Field for Attributes {
    const SIZE: usize = Attributes::UNPADDED_SIZE;
    fn put(&self, out: &mut [u8]) {
        out.copy_from_slice(self.as_ref());
    }
    fn get(bytes: &[u8]) -> Self {
        // Keeps bits that AttributesFlags has no name for.
        Attributes::try_copy_from(bytes).unwrap_or(Attributes { flags: AttributesFlags::empty(), xfrm: 0 })
    }
}

/// Defines a structure with a field at each offset and everything between reserved.
macro_rules! structure {
    (
        $(#[$meta:meta])*
        $name:ident, $sdm:literal, $size:literal {
            $( $(#[$fmeta:meta])* $offset:literal => $field:ident: $ty:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $ty, )*
        }

        impl $name {
            /// Size in memory, in bytes.
            pub const SIZE: usize = $size;

            /// Where the fields are: (first byte, one past the last), in ascending order.
            const FIELDS: &[(usize, usize)] = &[
                $( ($offset, $offset + <$ty as $crate::field::Field>::SIZE), )*
            ];

            /// Parses the structure.
            ///
            /// # Errors
            /// [`ReservedNotZero`](crate::ReservedNotZero) if a byte outside all fields is not zero.
            pub fn from_bytes(bytes: &[u8; $size]) -> Result<Self, $crate::ReservedNotZero> {
                let mut at = 0;
                for (start, end) in Self::FIELDS.iter().copied().chain([($size, $size)]) {
                    if let Some(found) = bytes[at..start].iter().position(|b| *b != 0) {
                        return Err($crate::ReservedNotZero { structure: $sdm, offset: at + found });
                    }
                    at = end;
                }
                Ok(Self {
                    $( $field: <$ty as $crate::field::Field>::get(
                        &bytes[$offset..$offset + <$ty as $crate::field::Field>::SIZE]), )*
                })
            }

            /// Serialises the structure; reserved bytes are zero.
            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $( $crate::field::Field::put(
                    &self.$field, &mut bytes[$offset..$offset + <$ty as $crate::field::Field>::SIZE]); )*
                bytes
            }
        }

        impl Default for $name {
            /// All zero.
            fn default() -> Self {
                Self { $( $field: <$ty as $crate::field::Field>::get(
                    &[0; <$ty as $crate::field::Field>::SIZE]), )* }
            }
        }

        const _: () = {
            let mut at = 0;
            let mut i = 0;
            while i < $name::FIELDS.len() {
                assert!($name::FIELDS[i].0 >= at, concat!($sdm, ": fields overlap"));
                at = $name::FIELDS[i].1;
                i += 1;
            }
            assert!(at <= $size, concat!($sdm, ": fields exceed the structure"));
        };
    };
}
pub(crate) use structure;
