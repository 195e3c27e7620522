// The whole service but its event subscriptions, which need the deployed code: events.bicep, from scripts/deployment.
targetScope = 'subscription'

@description('Name of the azd environment; the names of all resources derive from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of every resource. It must offer Flex Consumption.')
@metadata({ azd: { type: 'location' } })
param location string

// ------------------------------------------------------------------------------------------------------------- sign-in

@description('Create the Entra application of the API with its app roles. Needs the right to create applications.')
param createEntraApplication bool = false

@description('Client id of an Entra application that exists already and issues v2 tokens.')
param authClientId string = ''

@description('Issuer of an OpenID provider other than the tenant of the subscription.')
param authAuthority string = ''

@description('Accepted audiences, comma-separated. Empty: the client id, also as api://.')
param authAudiences string = ''

@description('Object id of the user who gets the app role DICOM.Data.Owner of a created application. Empty: nobody.')
param dataOwnerId string = ''

@description('Names of further app roles of a created application, comma-separated. What they permit is said by the roles document: docs/operate/roles.md.')
param appRoles string = ''

@description('Object id of the group whose members administer the stored data: blobs, tables and queues. Empty: nobody.')
param operatorGroupId string = ''

@description('Origins of browser applications that may call the service, comma-separated, for instance an OHIF viewer.')
param corsAllowedOrigins string = ''

// ---------------------------------------------------------------------------------------------------------------- data

@description('Replication of the account with DICOM files and index.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_RAGRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param dataReplication string = 'Standard_ZRS'

@description('protect: overwritten and erased files can be restored for softDeleteDays. erase: gone after three more days.')
@allowed(['protect', 'erase'])
param erasureMode string = 'protect'

@description('Days for which erased files, versions and containers can be restored in the mode protect.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 30

@description('Lock the data account against deletion, azd down included.')
param deleteLock bool = true

@description('Encrypt the data account with a key of the subscription, in a vault that is created for it.')
param customerManagedKey bool = false

@description('Data partitions. Fixed with the first stored instance.')
param dataPartitions bool = false

@description('Store files that are dropped into the import container.')
param bulkImport bool = true

@description('Accounts and containers that exports may be sent to, by URL, separated by commas (docs/api/export.md). Empty: none.')
param exportDestinations string = ''

@description('Serve OHIF Viewer below /ui/viewer/; its files are in the package.')
param viewer bool = true

@description('A key vault for the secrets of exports: signatures of containers, keys of pseudonyms.')
param exportSecrets bool = false

@description('FHIR server for DICOMcast and cohorts (docs/operate/dicomcast.md): its address without a slash at the end. Empty: neither.')
param fhirEndpoint string = ''

@description('What a token for the FHIR server is asked for. Empty: its address.')
param fhirResource string = ''

@description('With a FHIR server: whether studies are written into it.')
param dicomCast bool = true

@description('System of the medical record numbers, by which Patients of the FHIR server are found; a URI.')
param patientIdSystem string = ''

@description('Web PubSub for the event reports of the worklist. Off: there are no subscriptions.')
param worklist bool = false

// ------------------------------------------------------------------------------------------------------------- network

@description('Storage behind private endpoints; the app reaches it, and everything else, through a virtual network.')
param privateNetwork bool = false

// ---------------------------------------------------------------------------------------------------- size and scaling

@description('Largest request body in MiB; larger studies go through the import container.')
@minValue(1)
@maxValue(200)
param maxRequestMiB int = 100

@description('Memory of an instance in MB.')
@allowed([2048, 4096])
param instanceMemoryMB int = 4096

@description('HTTP requests that one instance serves at a time. With their bodies they must fit its memory.')
@minValue(1)
@maxValue(100)
param httpConcurrency int = 6

@description('Most instances at a time.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances for HTTP that are kept running: no cold starts, at a price.')
@minValue(0)
@maxValue(40)
param alwaysReadyHttp int = 0

@description('Instances for blob events that are kept running.')
@minValue(0)
@maxValue(40)
param alwaysReadyBlob int = 0

// ---------------------------------------------------------------------------------------------------------- operations

@description('From which level on the service logs; a line per transaction is INFO. Empty: as host.json says.')
@allowed(['', 'INFO', 'WARNING', 'ERROR'])
param telemetryLevel string = ''

@description('Send counters and spans to Application Insights (docs/operate/monitoring.md).')
param exportCounters bool = true

@description('What audit records keep of the values in query strings, which can name patients.')
@allowed(['keep', 'hash', 'drop'])
param auditQueryValues string = 'keep'

@description('Days for which logs are kept, audit records included.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Log every storage request. Blob names hold UIDs: the logs are patient-related, and dear.')
param storageDiagnostics bool = false

@description('Mail address that alerts go to. Empty: no alerts.')
param alertEmail string = ''

@description('More app settings, for those whose defaults do not suit; docs/operate/deploy.md says which.')
param extraSettings object = {}

// shared/memory_plan.py says what these are; a test holds them together.
// A body costs the host up to four times its size before the app sees it.
var bodyCost = 4
var idleMemoryMB = 512
var pixelMemoryMB = 400
// The most for any number of requests that store while the others read: the sum bends at these numbers.
var storingRequests = [0, min(httpConcurrency, 3), min(httpConcurrency, 4), max(httpConcurrency - 3, 0), max(httpConcurrency - 2, 0), httpConcurrency]
var workMemoryMB = max(map(storingRequests, storing => storing * bodyCost * maxRequestMiB + min(308 * storing, 964) + min(pixelMemoryMB * (httpConcurrency - storing), pixelMemoryMB + 600)))
var neededMemoryMB = idleMemoryMB + 32 * httpConcurrency + workMemoryMB

// Keys, what the platform alone may say, what would open or break the service for good.
var forbiddenSettings = [
  'AUTHENTICATION_MODE'
  'AZUREWEBJOBSSTORAGE'
  'DICOM_EVENTS_TOPIC_KEY'
  'DICOMSTORAGE'
  'IMPORTSTORAGE'
  'TABLE_SPREAD'
  'WEBSITE_AUTH_ENABLED'
  'WEBSITE_HOSTNAME'
  'WORKLIST_NOTIFICATIONS_KEY'
]

var signInIsKnown = createEntraApplication || !empty(authClientId) || (!empty(authAuthority) && !empty(authAudiences))
var problems = concat(
  signInIsKnown ? [] : ['Sign-in: set createEntraApplication, authClientId, or authAuthority with authAudiences.'],
  createEntraApplication || empty(appRoles) ? [] : ['Sign-in: appRoles are those of an application that is created.'],
  createEntraApplication && !empty(authClientId) ? ['Sign-in: createEntraApplication and authClientId exclude each other.'] : [],
  neededMemoryMB <= instanceMemoryMB ? [] : ['Memory: httpConcurrency requests of maxRequestMiB take ${neededMemoryMB} MB.'],
  empty(intersection(map(objectKeys(extraSettings), name => toUpper(name)), forbiddenSettings)) ? [] : ['extraSettings: ${join(forbiddenSettings, ', ')} cannot be set.']
)

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }

// The name fails, and with it the deployment, before anything is created.
resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(problems) ? 'rg-${environmentName}' : fail(join(problems, ' '))
  location: location
  tags: tags
}

module identity './modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-dicom-${token}'
    location: location
    tags: tags
  }
}

module monitoring './modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module encryptionKey './modules/encryption-key.bicep' = if (customerManagedKey) {
  name: 'encryption-key'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module hostStorage './modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    skuName: contains(dataReplication, 'ZRS') ? 'Standard_ZRS' : 'Standard_LRS'
    restrictNetwork: privateNetwork
  }
}

module dicomStorage './modules/dicom-storage.bicep' = {
  name: 'dicom-storage'
  scope: group
  params: {
    name: 'stdicom${token}'
    location: location
    tags: tags
    skuName: dataReplication
    erasureMode: erasureMode
    softDeleteDays: softDeleteDays
    deleteLock: deleteLock
    restrictNetwork: privateNetwork
    encryptionIdentityId: customerManagedKey ? encryptionKey!.outputs.identityId : ''
    vaultUri: customerManagedKey ? encryptionKey!.outputs.vaultUri : ''
    keyName: customerManagedKey ? encryptionKey!.outputs.keyName : ''
    diagnostics: storageDiagnostics
    workspaceId: monitoring.outputs.workspaceId
  }
}

module network './modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module privateEndpoints './modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'private-endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    networkId: network!.outputs.networkId
    subnetId: network!.outputs.endpointSubnetId
    hostStorageId: hostStorage.outputs.id
    dicomStorageId: dicomStorage.outputs.id
  }
}

module secretVault './modules/secret-vault.bicep' = if (exportSecrets) {
  name: 'secret-vault'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    appPrincipalId: identity.outputs.principalId
    restrictNetwork: privateNetwork
    networkId: privateNetwork ? network!.outputs.networkId : 'none'
    subnetId: privateNetwork ? network!.outputs.endpointSubnetId : 'none'
  }
}

module eventTopics './modules/event-topics.bicep' = {
  name: 'event-topics'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    dicomStorageId: dicomStorage.outputs.id
    workspaceId: monitoring.outputs.workspaceId
  }
}

module worklistNotifications './modules/worklist-notifications.bicep' = if (worklist) {
  name: 'worklist-notifications'
  scope: group
  params: {
    name: 'wps-dicom-${token}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

var appName = 'func-dicom-${token}'

module entraApplication './modules/entra-application.bicep' = if (createEntraApplication) {
  name: 'entra-application'
  scope: group
  params: {
    uniqueName: 'dicom-${token}'
    displayName: 'DICOM service (${environmentName})'
    pagesUrl: 'https://${appName}.azurewebsites.net/ui/'
    dataOwnerId: dataOwnerId
    furtherRoles: empty(appRoles) ? [] : split(appRoles, ',')
  }
}

module roleAssignments './modules/role-assignments.bicep' = {
  name: 'role-assignments'
  scope: group
  params: {
    appPrincipalId: identity.outputs.principalId
    operatorGroupId: operatorGroupId
    hostStorageName: hostStorage.outputs.name
    dicomStorageName: dicomStorage.outputs.name
    insightsName: monitoring.outputs.insightsName
    dicomTopicName: eventTopics.outputs.dicomTopicName
    blobTopicPrincipalId: eventTopics.outputs.blobTopicPrincipalId
    dicomTopicPrincipalId: eventTopics.outputs.dicomTopicPrincipalId
    worklist: worklist
    worklistName: worklist ? worklistNotifications!.outputs.name : 'none'
  }
}

var clientId = createEntraApplication ? entraApplication!.outputs.clientId : authClientId
var tenantAuthority = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'

// Others of these sections go into extraSettings, and may replace these.
var fhirSettings = empty(fhirEndpoint) ? {} : {
  DicomCast__Enabled: dicomCast ? 'true' : 'false'
  DicomWeb__Endpoint: 'https://${appName}.azurewebsites.net/v2'
  Fhir__Authentication__AuthenticationType: 'ManagedIdentity'
  Fhir__Authentication__ManagedIdentityCredential__Resource: empty(fhirResource) ? fhirEndpoint : fhirResource
  Fhir__Endpoint: fhirEndpoint
  Patient__PatientSystemId: patientIdSystem
}

var serviceSettings = {
  // A deleted blob is kept as a version first, then as a deleted version.
  ACCOUNT_RETENTION_DAYS: string(erasureMode == 'protect' ? softDeleteDays * 2 : 3)
  AUDIT_QUERY_VALUES: auditQueryValues
  AUTHENTICATION_AUDIENCES: empty(authAudiences) ? '${clientId},api://${clientId}' : authAudiences
  AUTHENTICATION_AUTHORITY: empty(authAuthority) ? tenantAuthority : authAuthority
  BULK_IMPORT_ENABLED: bulkImport ? 'true' : 'false'
  CORS_ALLOWED_ORIGINS: corsAllowedOrigins
  DATA_PARTITIONS_ENABLED: dataPartitions ? 'true' : 'false'
  DICOM_EVENTS_SOURCE: eventTopics.outputs.dicomTopicId
  DICOM_EVENTS_TOPIC: eventTopics.outputs.dicomTopicEndpoint
  DicomStorage__blobServiceUri: dicomStorage.outputs.blobEndpoint
  DicomStorage__clientId: identity.outputs.clientId
  DicomStorage__credential: 'managedidentity'
  DicomStorage__queueServiceUri: dicomStorage.outputs.queueEndpoint
  DicomStorage__tableServiceUri: dicomStorage.outputs.tableEndpoint
  EXPORT_DESTINATIONS: exportDestinations
  EXPORT_SAS_ALLOWED: exportSecrets ? 'true' : 'false'
  HTTP_CONCURRENCY: string(httpConcurrency)
  // Frozen when the store is first used; another number later keeps the app from starting.
  INDEX_SHARDS: '16'
  INSTANCE_MEMORY_MB: string(instanceMemoryMB)
  MAX_REQUEST_BYTES: string(maxRequestMiB * 1048576)
  SECRET_STORE: exportSecrets ? secretVault!.outputs.vaultUri : ''
  TELEMETRY_LEVEL: telemetryLevel
  TELEMETRY_EXPORT: exportCounters ? 'applicationinsights' : 'off'
  TRANSCODE_MEMORY_BYTES: string(pixelMemoryMB * 1048576)
  UI_CLIENT_ID: clientId
  UI_SCOPES: empty(clientId) ? 'openid profile offline_access' : 'openid profile offline_access ${clientId}/.default'
  VIEWER_ENABLED: viewer ? 'true' : 'false'
  WORKLIST_NOTIFICATIONS_ENDPOINT: worklist ? worklistNotifications!.outputs.endpoint : ''
}

var platformSettings = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  AZURE_CLIENT_ID: identity.outputs.clientId
  AzureWebJobsStorage__blobServiceUri: hostStorage.outputs.blobEndpoint
  AzureWebJobsStorage__clientId: identity.outputs.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__queueServiceUri: hostStorage.outputs.queueEndpoint
  AzureWebJobsStorage__tableServiceUri: hostStorage.outputs.tableEndpoint
  // Above ours, so that a body that is too large gets our 413 and not the host's 500.
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: string((maxRequestMiB + 1) * 1048576)
}

// After the roles: the first start already needs them.
module functionApp './modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  dependsOn: [roleAssignments]
  params: {
    name: appName
    location: location
    tags: tags
    identityId: identity.outputs.id
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    packageContainerUrl: hostStorage.outputs.packageContainerUrl
    instanceMemoryMB: instanceMemoryMB
    httpConcurrency: httpConcurrency
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReadyBlob: alwaysReadyBlob
    appSettings: union(fhirSettings, extraSettings, serviceSettings, platformSettings)
  }
}

module workbook './modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    displayName: 'DICOM service (${environmentName})'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module alerts './modules/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    email: alertEmail
    workspaceId: monitoring.outputs.workspaceId
    maximumInstanceCount: maximumInstanceCount
    topicIds: [eventTopics.outputs.blobTopicId, eventTopics.outputs.dicomTopicId]
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name
output DICOM_API_CLIENT_ID string = clientId
output DICOM_APP_PRINCIPAL_ID string = identity.outputs.principalId
output DICOM_BLOB_TOPIC_NAME string = eventTopics.outputs.blobTopicName
output DICOM_EVENTS_TOPIC_NAME string = eventTopics.outputs.dicomTopicName
output DICOM_IMPORT_SUBSCRIBED bool = bulkImport
output DICOM_SERVICE_URL string = functionApp.outputs.url
output DICOM_STORAGE_NAME string = dicomStorage.outputs.name
output DICOM_WORKLIST_NAME string = worklist ? worklistNotifications!.outputs.name : 'none'
output DICOM_WORKLIST_ENDPOINT string = worklist ? worklistNotifications!.outputs.endpoint : ''
