// The data account: DICOM files, index tables, import, dead letters. Tables and work queues are made by the app.
param name string
param location string
param tags object
param skuName string
param erasureMode string
param softDeleteDays int
param deleteLock bool
param restrictNetwork bool
param encryptionIdentityId string
param vaultUri string
param keyName string
param diagnostics bool
param workspaceId string

var containers = ['dicom', 'import-container', 'error-container', 'event-dead-letters']
var importQueues = ['import-queue', 'import-queue-poison', 'error-queue']

var protect = erasureMode == 'protect'
// As long as a deleted instance can be restored by the service itself (DELETED_RETENTION_HOURS).
var erasedDays = 3
var recoveryDays = protect ? softDeleteDays : erasedDays
var ownKey = !empty(encryptionIdentityId)

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  identity: ownKey ? { type: 'UserAssigned', userAssignedIdentities: { '${encryptionIdentityId}': {} } } : { type: 'None' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      defaultAction: restrictNetwork ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
    }
    encryption: {
      keySource: ownKey ? 'Microsoft.Keyvault' : 'Microsoft.Storage'
      keyvaultproperties: ownKey ? { keyvaulturi: vaultUri, keyname: keyName } : null
      identity: ownKey ? { userAssignedIdentity: encryptionIdentityId } : null
      requireInfrastructureEncryption: true
      // Fixed when the account is made: of type Service, a queue or table could never take a key of one's own.
      services: {
        blob: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  scope: account
  name: 'keep-the-data'
  properties: {
    level: 'CanNotDelete'
    notes: 'DICOM files and their index. Remove the lock only to give up the data.'
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: protect
    changeFeed: protect ? { enabled: true, retentionInDays: softDeleteDays } : { enabled: false }
    deleteRetentionPolicy: { enabled: true, days: recoveryDays }
    containerDeleteRetentionPolicy: { enabled: true, days: recoveryDays }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [for container in containers: {
  parent: blobs
  name: container
  properties: { publicAccess: 'None' }
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [for queue in importQueues: {
  parent: queueService
  name: queue
}]

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

// Only previous versions and dead letters: a rule by prefix cannot tell a DICOM file from the documents beside it.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [blobs]
  properties: {
    policy: {
      rules: [
        {
          name: 'expire-previous-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: recoveryDays } } }
          }
        }
        {
          name: 'expire-dead-letters'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['event-dead-letters/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } } }
          }
        }
      ]
    }
  }
}

var storageLogs = [
  { category: 'StorageRead', enabled: true }
  { category: 'StorageWrite', enabled: true }
  { category: 'StorageDelete', enabled: true }
]

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics) {
  scope: blobs
  name: 'requests'
  properties: { workspaceId: workspaceId, logs: storageLogs }
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics) {
  scope: tables
  name: 'requests'
  properties: { workspaceId: workspaceId, logs: storageLogs }
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
