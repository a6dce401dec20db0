//! Hashing on as many threads as there are cores, with memory that is reused.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use shared::password::Memory;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::error::Error;

/// Runs hashes, at most one per core. A hash takes about 20 ms and 19 MiB.
pub struct HashPool {
    cores: Semaphore,
    /// Argon2 memory that no thread is using.
    memories: Mutex<Vec<Memory>>,
}

impl Default for HashPool {
    fn default() -> Self {
        let cores = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Self { cores, memories: Mutex::default() }
    }
}

impl HashPool {
    /// Runs CPU-bound work on a thread of its own, as soon as a core is free.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _core = self.cores.acquire().await.map_err(Error::internal)?;
        let mut memory = self.memories().pop().unwrap_or_default();
        let work = spawn_blocking(move || (work(&mut memory), memory));
        let (result, memory) = work.await.map_err(Error::internal)?;
        self.memories().push(memory);
        Ok(result)
    }

    fn memories(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
