//! The compiler checks a value against the builder's method, and underlines the value itself. The
//! builder is a replacement, so that its source is not part of the message.

mod stand_in {
    pub mod runtime {
        pub struct Builder;

        impl Builder {
            pub fn new_current_thread() -> Builder {
                Builder
            }
            pub fn enable_all(self) -> Builder {
                self
            }
            pub fn start_paused(self, _start_paused: bool) -> Builder {
                self
            }
            pub fn event_interval(self, _polls: u32) -> Builder {
                self
            }
            pub fn build(self) -> Result<::runtime::Runtime, std::io::Error> {
                unreachable!()
            }
        }
    }
}

#[runtime::main(crate = stand_in, start_paused = "yes", event_interval = 0.5)]
async fn main() {}

#[runtime::main(crate = stand_in, timer_slack = 100)]
async fn entry() {}
