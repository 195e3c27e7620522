# The service as a container, on the Functions host that Azure runs. First: make package. docs/operate/container.md
FROM mcr.microsoft.com/azure-functions/python:4-python3.13
# In a container nobody else tells the worker where the packages are.
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    FUNCTIONS_WORKER_RUNTIME=python \
    PYTHONPATH=/home/site/wwwroot/.python_packages/lib/site-packages
COPY .cache/package /home/site/wwwroot
