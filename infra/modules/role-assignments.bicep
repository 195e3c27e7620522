// Who may do what with which resource: every role but that on the encryption key.
param appPrincipalId string
param operatorGroupId string
param hostStorageName string
param dicomStorageName string
param insightsName string
param dicomTopicName string
param blobTopicPrincipalId string
param dicomTopicPrincipalId string
param worklist bool
param worklistName string

var roles = {
  eventGridDataSender: 'd5a91429-5739-47e2-a06b-3470a27159e7'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageQueueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  webPubSubServiceOwner: '12cf5a90-567b-43ae-8102-96cf46c7d9b4'
}
// The host takes leases on blobs of its own account, for which it asks for ownership.
var hostStorageRoles = [roles.storageBlobDataOwner, roles.storageQueueDataContributor, roles.storageTableDataContributor]
var dicomStorageRoles = [roles.storageBlobDataContributor, roles.storageQueueDataContributor, roles.storageTableDataContributor]

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostStorageName
}

resource dicomStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: dicomStorageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: dicomStorage
  name: 'default'
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobs
  name: 'event-dead-letters'
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' existing = {
  parent: dicomStorage
  name: 'default'
}

resource importQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' existing = {
  parent: queueService
  name: 'import-queue'
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource dicomTopic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: dicomTopicName
}

resource webPubSub 'Microsoft.SignalRService/webPubSub@2024-03-01' existing = {
  name: worklistName
}

resource appOnHostStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in hostStorageRoles: {
  name: guid(hostStorage.id, appPrincipalId, role)
  scope: hostStorage
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}]

resource appOnDicomStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in dicomStorageRoles: {
  name: guid(dicomStorage.id, appPrincipalId, role)
  scope: dicomStorage
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}]

resource appOnInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, appPrincipalId, roles.monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringMetricsPublisher)
  }
}

resource appOnTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(dicomTopic.id, appPrincipalId, roles.eventGridDataSender)
  scope: dicomTopic
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventGridDataSender)
  }
}

resource appOnWebPubSub 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (worklist) {
  name: guid(webPubSub.id, appPrincipalId, roles.webPubSubServiceOwner)
  scope: webPubSub
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.webPubSubServiceOwner)
  }
}

resource blobTopicOnImportQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(importQueue.id, blobTopicPrincipalId, roles.storageQueueDataMessageSender)
  scope: importQueue
  properties: {
    principalId: blobTopicPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageQueueDataMessageSender)
  }
}

resource topicsOnDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for topic in [blobTopicPrincipalId, dicomTopicPrincipalId]: {
  name: guid(deadLetters.id, topic, roles.storageBlobDataContributor)
  scope: deadLetters
  properties: {
    principalId: topic
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
  }
}]

resource operatorsOnDicomStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in dicomStorageRoles: if (!empty(operatorGroupId)) {
  name: guid(dicomStorage.id, operatorGroupId, role)
  scope: dicomStorage
  properties: {
    principalId: operatorGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}]
