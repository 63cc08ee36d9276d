//! The manifest of an epoch and the list of its buckets: what can be read is what would be written, and whatever it names can be
//! asked for.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use object_store::memory::InMemory;
use rettidig_runtime::{Manifest, Store};
use tokio::runtime::Runtime;

fuzz_target!(|data: &[u8]| {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let store = Store::over(Arc::new(InMemory::new()));
            // The same bytes as a manifest and as the list that it may name.
            store.put("epochs/000000000001.json", data.to_vec().into()).await.expect("put");
            store.put("list.json", data.to_vec().into()).await.expect("put");
            let Ok(Some((manifest, _))) = Manifest::newest(&store).await else { return };
            let again = Store::over(Arc::new(InMemory::new()));
            assert!(manifest.commit(&again).await.expect("committed"));
            let (read, _) = Manifest::newest(&again).await.expect("read").expect("one");
            assert_eq!(read, manifest);
            for path in manifest.files() {
                let _ = store.get(path).await;
            }
            let _ = manifest.persons.log_files(&store).await;
        });
    });
});
