//! No more hashes are made at once than there are cores, and none in new memory.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use shared::password::Memory;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::error::Error;

/// The cores of this machine. A hash can take one for 20 ms, and 19 MiB.
pub struct Cores {
    free: Semaphore,
    /// What those who wait for a core will hash in.
    memories: Mutex<Vec<Memory>>,
}

impl Default for Cores {
    fn default() -> Self {
        let free = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Self { free, memories: Mutex::default() }
    }
}

impl Cores {
    /// Does what takes a core once one is free.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _core = self.free.acquire().await.map_err(Error::internal)?;
        let mut memory = self.memories().pop().unwrap_or_default();
        let work = spawn_blocking(move || (work(&mut memory), memory));
        let (done, memory) = work.await.map_err(Error::internal)?;
        self.memories().push(memory);
        Ok(done)
    }

    fn memories(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
