// The configuration of OHIF Viewer for this service (VIEW-4; docs/operate/ohif.md says why each value is what it is).

const DAYS_UNTIL_NOTICE = 30;
const UNAUTHORIZED = 401;
/** The viewer's default; more than some systems have. */
const WORKERS = 3;

/**
 * What the viewer finds in `window.config`. `base` is the path below which it lies, `service` the URL of the API,
 * `credentials` gives the header fields of the caller, `refused` is called when a token does not hold any more.
 */
export function configuration({ base, service, partition, credentials, refused }) {
  const root = partition === null ? service : `${service}/partitions/${encodeURIComponent(partition)}`;
  return {
    routerBasename: base,
    extensions: [{
      id: 'serverless-dicom.sign-in',
      preRegistration: ({ servicesManager }) => servicesManager.services.userAuthenticationService
        .setServiceImplementation({ getAuthorizationHeader: credentials }),
    }],
    modes: [],
    customizationService: {},
    showStudyList: false,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    showErrorDetails: 'production',
    strictZSpacingForVolumeViewport: true,
    maxNumberOfWebWorkers: WORKERS,
    investigationalUseDialog: { option: 'configure', days: DAYS_UNTIL_NOTICE },
    httpErrorHandler: (error) => {
      if (error?.request?.status === UNAUTHORIZED || error?.status === UNAUTHORIZED) refused();
    },
    defaultDataSourceName: 'dicomweb',
    dataSources: [{
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'dicomweb',
      configuration: {
        friendlyName: 'Serverless DICOM',
        name: 'dicomweb',
        qidoRoot: root,
        wadoRoot: root,
        wadoUriRoot: `${root}/wado`,
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        dicomUploadEnabled: false,
        omitQuotationForMultipartRequest: true,
        singlepart: 'bulkdata,video',
        bulkDataURI: { enabled: true },
      },
    }],
  };
}
