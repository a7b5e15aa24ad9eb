//! Which objects there are.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::path::Path as ObjectPath;

use super::{Storage, StorageError, StorageKey};
use crate::media::{
    key::{Owner, ROOTS, folder_of, input_name},
    object::ListedObject,
};

impl Storage {
    /// What is kept of what a request brings by this link.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn find_input(
        &self,
        request_id: i64,
        link: &str,
    ) -> Result<Option<StorageKey>, StorageError> {
        let name = input_name(link);
        let brought = self.objects_of(Owner::Request(request_id)).await?;
        let mut keys = brought.into_iter().map(|object| object.key);
        Ok(keys.find(|key| key.attempt() == name))
    }

    /// What is somebody's, whether or not a record names it.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn objects_of(&self, owner: Owner) -> Result<Vec<ListedObject>, StorageError> {
        let folder = folder_of(owner);
        let folder = folder.split('/');
        let folder = folder.fold(self.inner.prefix.clone(), |path, part| path.join(part));
        let listed = self.store().list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| self.failed("list objects", &error))?;
        let ours = |meta| ListedObject::from_meta(meta, &self.inner.prefix);
        Ok(listed.objects.iter().filter_map(ours).collect())
    }

    /// Every object of ours, in no particular order. What others keep in the same folder or bucket
    /// is left out.
    pub fn list(&self) -> BoxStream<'static, Result<ListedObject, StorageError>> {
        let storage = self.clone();
        let prefix = self.inner.prefix.clone();
        let roots = ROOTS.map(|root| self.inner.prefix.clone().join(root));
        let found = roots.map(|root| self.store().list(Some(&root)));
        futures::stream::iter(found)
            .flatten()
            .map_err(move |error| storage.failed("list objects", &error))
            .try_filter_map(move |meta| {
                std::future::ready(Ok(ListedObject::from_meta(&meta, &prefix)))
            })
            .boxed()
    }

    /// The objects of the last job of all, or rather of one that certainly has the greatest number as long as there are not
    /// more than 999,999,999. It takes a few small listings, however many objects there are.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn objects_of_last_job(&self) -> Result<Vec<ListedObject>, StorageError> {
        let failed = |error| self.failed("list objects", &error);
        let mut folder = self.root();
        loop {
            let listed = self.store().list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(failed)?;
            let is_group = |folder: &ObjectPath| {
                let name = folder.parts().next_back();
                name.is_some_and(|name| name.as_ref().bytes().all(|byte| byte.is_ascii_digit()))
            };
            let folders = listed.common_prefixes.into_iter().filter(is_group);
            match folders.max() {
                Some(last) => folder = last,
                None => {
                    let objects = listed.objects.iter();
                    let ours = objects
                        .filter_map(|meta| ListedObject::from_meta(meta, &self.inner.prefix));
                    return Ok(ours.collect());
                }
            }
        }
    }
}
