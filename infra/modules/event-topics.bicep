// Where events come from: the system topic of the data account, and the service's own topic.
param token string
param location string
param tags object
param dicomStorageId string
param workspaceId string

resource blobTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgst-blobs-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: dicomStorageId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource dicomTopic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: 'evgt-dicom-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

resource blobDeliveries 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobTopic
  name: 'failures'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }]
  }
}

resource dicomDeliveries 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: dicomTopic
  name: 'failures'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }, { category: 'PublishFailures', enabled: true }]
  }
}

output blobTopicId string = blobTopic.id
output blobTopicName string = blobTopic.name
output blobTopicPrincipalId string = blobTopic.identity.principalId
output dicomTopicId string = dicomTopic.id
output dicomTopicName string = dicomTopic.name
output dicomTopicEndpoint string = dicomTopic.properties.endpoint
output dicomTopicPrincipalId string = dicomTopic.identity.principalId
