//! The output of `select!`: for each number of branches a type with one variant for each branch.
//!
//! The branches have outputs of different types, and the handlers have to be code of the caller's function, where `?`
//! and `break` work. So the result of polling is a value of one of these types, which the function matches. The value
//! takes the memory of the largest output and not of all.

/// Calls a macro with a list of all branches: their numbers, their variants, and the type for that many branches.
///
/// Macros cannot count. So they take the number of the next branch from the head of this list, and its end is the limit
/// of branches.
#[doc(hidden)]
#[macro_export]
macro_rules! __branch_list {
    ([$($callback:tt)+] $($arguments:tt)*) => {
        $($callback)+! { [
            (0 B0 Out1) (1 B1 Out2) (2 B2 Out3) (3 B3 Out4) (4 B4 Out5) (5 B5 Out6) (6 B6 Out7)
            (7 B7 Out8) (8 B8 Out9) (9 B9 Out10) (10 B10 Out11) (11 B11 Out12) (12 B12 Out13)
            (13 B13 Out14) (14 B14 Out15) (15 B15 Out16) (16 B16 Out17) (17 B17 Out18) (18 B18 Out19)
            (19 B19 Out20) (20 B20 Out21) (21 B21 Out22) (22 B22 Out23) (23 B23 Out24) (24 B24 Out25)
            (25 B25 Out26) (26 B26 Out27) (27 B27 Out28) (28 B28 Out29) (29 B29 Out30) (30 B30 Out31)
            (31 B31 Out32) (32 B32 Out33) (33 B33 Out34) (34 B34 Out35) (35 B35 Out36) (36 B36 Out37)
            (37 B37 Out38) (38 B38 Out39) (39 B39 Out40) (40 B40 Out41) (41 B41 Out42) (42 B42 Out43)
            (43 B43 Out44) (44 B44 Out45) (45 B45 Out46) (46 B46 Out47) (47 B47 Out48) (48 B48 Out49)
            (49 B49 Out50) (50 B50 Out51) (51 B51 Out52) (52 B52 Out53) (53 B53 Out54) (54 B54 Out55)
            (55 B55 Out56) (56 B56 Out57) (57 B57 Out58) (58 B58 Out59) (59 B59 Out60) (60 B60 Out61)
            (61 B61 Out62) (62 B62 Out63) (63 B63 Out64)
        ] $($arguments)* }
    };
}

/// Defines the types. Each round takes one branch from the list and adds its variant to those before it.
macro_rules! define_outputs {
    ([] $($variant:ident)*) => {};
    ([($number:tt $next:ident $Output:ident) $($rest:tt)*] $($variant:ident)*) => {
        #[doc = concat!("The output of a `select!` whose last branch has the number ", stringify!($number), ".")]
        pub enum $Output<$($variant,)* $next> {
            $($variant($variant),)*
            $next($next),
        }
        define_outputs! { [$($rest)*] $($variant)* $next }
    };
}

__branch_list! { [define_outputs] }
