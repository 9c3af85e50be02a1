"""Bytes and records in, durable and verifiable: the database, its stores, and blobs under their digests.

Knows nothing of HTTP, of FLUX, or of what a rule means. The clock and the source of ids are arguments.
"""

from storage.adapters import Adapter, AdapterConflictError, AdapterStore, NewAdapter
from storage.blobs import BlobStore, FileBlobs
from storage.database import Database
from storage.digests import canonical_json, sha256_hex
from storage.errors import (
    BlobCorruptError,
    BlobMissingError,
    BlobsUnavailableError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidValueError,
    LeaseLostError,
    NotFoundError,
    SchemaOutdatedError,
    StorageError,
    StorageFullError,
)
from storage.identity import Clock, NewId, random_id, utc_now
from storage.images import Image, ImageStore, NewImage
from storage.job_values import Finish, Job, Lease, NewJob
from storage.jobs import JobStore
from storage.keys import ApiKey, KeyStore
from storage.licences import Acceptance, LicenceStore
from storage.pages import Page
from storage.records import NewRecord, Record, RecordStore
from storage.references import referenced_digests
from storage.sketches import Sketch, SketchStore
from storage.vault import TextVault
from storage.words import FINAL_STATES, AdapterKind, JobState, Origin, Outcome, Role
from storage.workers import Worker, WorkerStore

__all__ = [
    "FINAL_STATES",
    "Acceptance",
    "Adapter",
    "AdapterConflictError",
    "AdapterKind",
    "AdapterStore",
    "ApiKey",
    "BlobCorruptError",
    "BlobMissingError",
    "BlobStore",
    "BlobsUnavailableError",
    "Clock",
    "ConflictError",
    "Database",
    "DatabaseUnavailableError",
    "FileBlobs",
    "Finish",
    "Image",
    "ImageStore",
    "InvalidValueError",
    "Job",
    "JobState",
    "JobStore",
    "KeyStore",
    "Lease",
    "LeaseLostError",
    "LicenceStore",
    "NewAdapter",
    "NewId",
    "NewImage",
    "NewJob",
    "NewRecord",
    "NotFoundError",
    "Origin",
    "Outcome",
    "Page",
    "Record",
    "RecordStore",
    "Role",
    "SchemaOutdatedError",
    "Sketch",
    "SketchStore",
    "StorageError",
    "StorageFullError",
    "TextVault",
    "Worker",
    "WorkerStore",
    "canonical_json",
    "random_id",
    "referenced_digests",
    "sha256_hex",
    "utc_now",
]
