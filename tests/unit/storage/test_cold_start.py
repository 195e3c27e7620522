import subprocess
import sys


def test_the_adapters_import_no_storage_sdk_before_it_is_needed() -> None:
    modules = (
        "shared.storage.azure_tables, shared.storage.azure_blobs, shared.storage.azure_blobs_sdk, "
        "shared.storage.azure_queues, shared.events.event_grid"
    )
    code = f"import sys, {modules}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    heavy = ("azure.storage", "azure.data", "azure.identity", "azure.eventgrid", "numpy", "pydicom")
    assert [name for name in loaded if name.startswith(heavy)] == []
