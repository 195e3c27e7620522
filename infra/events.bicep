// The event subscriptions, and who Web PubSub asks about its clients. Both services call an endpoint before they accept
// it, and the key of the blob webhook exists only once the app has started with its functions: so they follow the code.
param functionAppName string
param blobTopicName string
param dicomTopicName string
param dicomStorageName string
param bulkImport bool
@description('The Web PubSub of the worklist; none: there is none.')
param worklistName string

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: functionAppName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: dicomStorageName
}

resource blobTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: blobTopicName
}

resource dicomTopic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: dicomTopicName
}

resource worklistNotifications 'Microsoft.SignalRService/webPubSub@2024-03-01' existing = {
  name: worklistName
}

var newBlobs = ['Microsoft.Storage.BlobCreated']
var retryPolicy = { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
// The identity of the topic itself: the only one that a storage firewall lets through.
var topicIdentity = { type: 'SystemAssigned' }
var deadLetters = {
  identity: topicIdentity
  deadLetterDestination: {
    endpointType: 'StorageBlob'
    properties: { resourceId: storage.id, blobContainerName: 'event-dead-letters' }
  }
}
// The one key of the deployment. It is read here and nowhere else, and only lets new blobs be announced.
var blobKey = listKeys('${app.id}/host/default', '2024-11-01').systemKeys.blobs_extension

resource indexInstance 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: blobTopic
  name: 'index-instance'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: newBlobs
      subjectBeginsWith: '/blobServices/default/containers/dicom/'
      // What the service writes beside files is no file. Files that others put there may have any name.
      advancedFilters: [{ operatorType: 'StringNotEndsWith', key: 'subject', values: ['.json', '.off', '.obsolete', '.committed'] }]
    }
    retryPolicy: retryPolicy
    deadLetterWithResourceIdentity: deadLetters
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.index_instance&code=${blobKey}'
        maxEventsPerBatch: 100
        preferredBatchSizeInKilobytes: 64
      }
    }
  }
}

resource importInstance 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (bulkImport) {
  parent: blobTopic
  name: 'import'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: newBlobs
      subjectBeginsWith: '/blobServices/default/containers/import-container/'
    }
    retryPolicy: retryPolicy
    deadLetterWithResourceIdentity: deadLetters
    deliveryWithResourceIdentity: {
      identity: topicIdentity
      destination: {
        endpointType: 'StorageQueue'
        properties: { resourceId: storage.id, queueName: 'import-queue' }
      }
    }
  }
}

resource appendChanges 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = {
  parent: dicomTopic
  name: 'append-changes'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: { includedEventTypes: ['ServerlessDicom.ChangesPending'] }
    retryPolicy: retryPolicy
    deadLetterWithResourceIdentity: deadLetters
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${app.id}/functions/append_changes'
        maxEventsPerBatch: 1
      }
    }
  }
}

// The app lets each client in, by the ticket that its URL shows, once. There is no key to sign with and none is needed:
// whoever shows a ticket learns only that it is used up.
resource worklistHub 'Microsoft.SignalRService/webPubSub/hubs@2024-03-01' = if (worklistName != 'none') {
  parent: worklistNotifications
  name: 'worklist'
  properties: {
    anonymousConnectPolicy: 'deny'
    eventHandlers: [
      {
        urlTemplate: 'https://${app.properties.defaultHostName}/worklist/connections'
        systemEvents: ['connect']
        auth: { type: 'None' }
      }
    ]
  }
}
