// Web PubSub, which carries the event reports of the worklist to its subscribers.
param name string
param location string
param tags object
param workspaceId string

resource webPubSub 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard_S1', tier: 'Standard', capacity: 1 }
  properties: {
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
    tls: { clientCertEnabled: false }
  }
}

// Who connects, and when. Messages and requests are not logged: that would cost more than they do.
resource connections 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: webPubSub
  name: 'connections'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'ConnectivityLogs', enabled: true }]
  }
}

output name string = webPubSub.name
output endpoint string = 'https://${webPubSub.properties.hostName}'
