//! Errors in the body are reported in the body, in the words for an `async fn`.

use std::error::Error;

mod last_expression {
    #[runtime::main]
    async fn main() -> u32 {
        let count = 1;
        std::future::ready(count).await;
        "one"
    }
}

mod nothing_returned {
    #[runtime::main]
    async fn main() -> Result<(), Box<dyn crate::Error>> {
        std::fs::read("file")?;
    }
}

mod semicolon {
    #[runtime::main]
    async fn main() -> u32 {
        1u32;
    }
}

mod no_return_type {
    #[runtime::main]
    async fn main() {
        5
    }
}

mod never {
    #[runtime::main]
    async fn main() -> ! {
        std::future::ready(()).await;
    }
}

#[runtime::main]
async fn main() {
    std::fs::read("file")?;
}
